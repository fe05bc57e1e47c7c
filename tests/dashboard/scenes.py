"""Uploads with runs and step records as workers leave them, made without a worker."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from config.accounts.models import User
from processing import outputs
from processing.artifacts import Drafts
from processing.models import Artifact, Run, RunState, StepRecord, StepState
from processing.pipelines import parse
from uploads.intake import Offer, receive_upload
from uploads.keys import upload_key
from uploads.models import Blob, Door, Upload, Verdict


@dataclass(frozen=True)
class Scene:
    """What a step leaves behind: its output, and artifacts as (name, media type, content)."""

    output: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[tuple[str, str, bytes]] = ()
    state: StepState = StepState.SUCCEEDED
    ms: float = 12.5
    error: tuple[str, str] = ("", "")


FAILURE = ("image_unreadable", "The image is damaged, or of no known kind.")


def hand_in(owner: User, name: str, content: bytes, *, door: Door = Door.WEB) -> Upload:
    """Take a file in, which makes its first run."""
    offer = Offer(owner=owner, name=name, declared_type="", door=door)
    upload = receive_upload(offer, io.BytesIO(content))
    upload.refresh_from_db()
    return upload


def play(upload: Upload, scenes: Mapping[str, Scene], *, state: RunState, attempt: int = 1) -> Run:
    """Write the records of the latest run as a worker would, and end the run in `state`."""
    run = Run.objects.select_related("upload", "version__pipeline").get(upload=upload)
    run.started_at = run.created_at + timedelta(milliseconds=40)
    moment = run.started_at
    for position, use in enumerate(parse(run.version.definition).steps):
        scene = scenes.get(use.name)
        if scene is not None:
            moment = _record(run, position, use.name, scene, moment, attempt)
    run.state, run.attempt, run.fence = state, attempt, attempt
    run.ended_at = None if state in {RunState.QUEUED, RunState.RUNNING} else moment
    if state == RunState.FAILED:
        run.error_code, run.error_detail = FAILURE
    run.save()
    passed = {"verdict": Verdict.PASSED, "held": False}
    Upload.objects.filter(pk=upload.pk).update(state=state, run_id=run.pk, **passed)
    upload.refresh_from_db()
    return run


def _record(
    run: Run, position: int, name: str, scene: Scene, began: datetime, attempt: int
) -> datetime:
    key = upload_key(run.upload_id)
    ended = began + timedelta(milliseconds=scene.ms)
    is_open = scene.state == StepState.RUNNING
    record = StepRecord(
        run=run,
        position=position,
        step=name,
        attempt=attempt,
        state=scene.state,
        started_at=began,
        ended_at=None if is_open else ended,
        duration_ms=None if is_open else scene.ms,
        cpu_ms=scene.ms / 2,
        max_rss_bytes=40 * 1024 * 1024,
        bytes_in=run.upload.size,
        bytes_out=sum(len(content) for _, _, content in scene.artifacts),
        error_code=scene.error[0],
        error_detail=scene.error[1],
        caused_by="checksum" if scene.state == StepState.SKIPPED else "",
    )
    if scene.state == StepState.SUCCEEDED:
        record.sealed_output = outputs.seal_output(cast(Any, dict(scene.output)), record, key)
    record.save(force_insert=True)
    drafts = Drafts(run.upload, key)
    for artifact_name, media_type, content in scene.artifacts:
        draft = drafts.open(artifact_name, media_type)
        draft.write(content)
        draft.close()
        draft.commit()
        blob = Blob.objects.create(
            pk=draft.blob_id, upload=run.upload, is_content=False, size=draft.size
        )
        Artifact.objects.create(
            record=record,
            blob=blob,
            name=draft.name,
            media_type=media_type,
            size=draft.size,
            sha256=draft.sha256,
        )
    return ended


def checked(upload: Upload) -> dict[str, Scene]:
    """Return what the two steps that every pipeline begins with leave."""
    return {
        "checksum": Scene({"sha256": upload.sha256, "size": upload.size}, ms=3.2),
        "media_type": Scene(
            {
                "media_type": upload.media_type,
                "accepted": upload.media_type,
                "agrees": True,
                "description": "a description",
                "encoding": None,
            },
            ms=8.9,
        ),
    }


def lines_output() -> dict[str, Any]:
    """Return an output of the line routing in its full shape."""
    return {
        "encoding": "utf-8",
        "lines": 120,
        "undecodable_lines": 0,
        "cut_lines": 0,
        "ended": 118,
        "dropped": 2,
        "errors": {"too_many_hops": 0},
        "routes": {"start": 120, "errors": 12, "warnings": 8, "general": 100, "report": 120},
        "processors": [
            {"route": "start", "place": 0, "use": "trim", "lines": 120, "ms": 0.4},
            {
                "route": "report",
                "place": 0,
                "use": "tally",
                "lines": 120,
                "ms": 0.2,
                "name": "report",
                "tally": [{"key": "general", "count": 100}, {"key": "errors", "count": 12}],
                "distinct": 2,
                "distinct_is_exact": True,
                "others": 0,
            },
        ],
        "traced": [
            {"number": 1, "path": ["start", "errors", "report", "ended"], "line": "ERROR: <b>x</b>"}
        ],
    }


def csv_output() -> dict[str, Any]:
    """Return an output of the CSV profile in its full shape."""
    column = {
        "type": "number", "values": 5, "nulls": 1, "distinct": 4, "distinct_is_exact": True,
        "longest": 6, "formula_like": 0,
    }  # fmt: skip
    return {
        "encoding": "utf-8",
        "delimiter": ";",
        "undecodable_lines": 0,
        "header": True,
        "rows": 6,
        "blank_rows": 0,
        "ragged_rows": 0,
        "first_ragged_rows": [],
        "column_count": 2,
        "columns": [
            {"name": "price", **column, "min": 0.5, "max": 12.25, "mean": 4.333333333},
            {
                "name": "note",
                **column,
                "type": "text",
                "formula_like": 1,
                "min": "=1+1",
                "max": "z",
            },
        ],
    }
