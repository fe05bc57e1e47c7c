"""The only writer of step records, and the reader of traces.

A record is written when a step begins and completed when it ends, however it ends. Its result,
its artifacts and the news of it are committed together, under the fence of the claim.
"""

import json
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from config.errors import AppError
from config.events.announce import announce
from processing.artifacts import Drafts
from processing.models import Artifact, Run, StepRecord, StepState
from processing.queue import Claim, ClaimLost, renew
from processing.sandbox import StepOutcome
from processing.steps.contract import Output, StepFailed
from uploads.encryption import seal, unseal
from uploads.keys import upload_key
from uploads.models import Blob

Outputs = dict[str, Output]  # by step name


@dataclass(frozen=True)
class Work:
    """A run that is being worked on: its claim, its row, the key of its upload."""

    claim: Claim
    run: Run
    key: bytes


@dataclass
class Recording:
    """What a step in progress adds to its record."""

    drafts: Drafts
    outcome: StepOutcome | None = None


@dataclass(frozen=True)
class StepView:
    """One record as its owner sees it; `output` unsealed, None where there is none."""

    record: StepRecord
    output: Output | None
    artifacts: Sequence[Artifact]


# --- Writing ----------------------------------------------------------------------------------


@contextmanager
def recorded(work: Work, *, position: int, step: str) -> Iterator[Recording]:
    """Record one attempt at one step.

    Raises:
        ClaimLost: another worker has the run; nothing of this attempt was kept.
    """
    record = _begin(work, position, step)
    recording = Recording(Drafts(work.run.upload, work.key))
    began = time.monotonic()
    try:
        yield recording
        recording.drafts.commit()
        record.state = StepState.SUCCEEDED
    except BaseException as error:  # django-q2 raises its timeout as a SystemExit
        record.state = StepState.FAILED
        record.error_code, record.error_detail = reason_of(error)
        recording.outcome = getattr(error, "usage", None)
        recording.drafts.discard()
        recording.drafts.items.clear()
        _end(work, record, recording, began)
        raise
    try:
        _end(work, record, recording, began)
    except BaseException:
        recording.drafts.discard()
        raise


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return a stable code and a sentence for whatever ended a step; never its own message."""
    if isinstance(error, StepFailed | AppError):
        return error.code, str(error)
    return "worker_failed", f"The worker was interrupted ({type(error).__name__})."


def skip(work: Work, steps: Sequence[tuple[int, str]], *, caused_by: str) -> None:
    """Record the steps, by position and name, that are not run because of another's failure."""
    now = timezone.now()
    with transaction.atomic():
        _hold(work.claim)
        StepRecord.objects.bulk_create(
            StepRecord(
                run=work.run,
                position=position,
                step=step,
                attempt=work.claim.fence,
                state=StepState.SKIPPED,
                started_at=now,
                ended_at=now,
                duration_ms=0,
                caused_by=caused_by,
            )
            for position, step in steps
        )


def skipped(run: Run) -> list[str]:
    """Return the names of the steps that a run went past."""
    return list(run.records.filter(state=StepState.SKIPPED).values_list("step", flat=True))


def failures(work: Work, position: int) -> int:
    """Return how often a step of this run has failed."""
    return work.run.records.filter(position=position, state=StepState.FAILED).count()


def abandon(run_id: UUID) -> int:
    """Close the records that a killed worker left open; return how many."""
    return StepRecord.objects.filter(run_id=run_id, state=StepState.RUNNING).update(
        state=StepState.ABANDONED,
        ended_at=timezone.now(),
        error_code="worker_lost",
        error_detail="The worker disappeared in the middle of the step.",
    )


def take_over(source: Run, target: Run, *, positions: Collection[int]) -> list[str]:
    """Give `target` the finished steps of `source` at these positions; return their names."""
    key = upload_key(source.upload_id)
    records = _succeeded(source).filter(position__in=positions).prefetch_related("artifacts")
    for record in records:
        artifacts = list(record.artifacts.all())
        output = _unseal(record, key)
        record.pk = StepRecord._meta.pk.get_default()
        record._state.adding = True
        record.run, record.attempt, record.caused_by = target, 0, f"run {source.pk}"
        record.sealed_output = _seal(output, record, key)
        record.save(force_insert=True)
        for artifact in artifacts:
            artifact.pk = Artifact._meta.pk.get_default()
            artifact._state.adding = True
            artifact.record = record
            artifact.save(force_insert=True)
    return [record.step for record in records]


def _begin(work: Work, position: int, step: str) -> StepRecord:
    with transaction.atomic():
        _hold(work.claim)
        record = StepRecord.objects.create(
            run=work.run,
            position=position,
            step=step,
            attempt=work.claim.fence,
            state=StepState.RUNNING,
            started_at=timezone.now(),
        )
        _tell(work.run, record)
    return record


def _end(work: Work, record: StepRecord, recording: Recording, began: float) -> None:
    record.ended_at = timezone.now()
    record.duration_ms = (time.monotonic() - began) * 1000
    if outcome := recording.outcome:
        record.cpu_ms, record.max_rss_bytes = outcome.cpu_ms, outcome.max_rss_bytes
        record.bytes_in, record.bytes_out = outcome.bytes_in, outcome.bytes_out
        if record.state == StepState.SUCCEEDED:
            record.sealed_output = _seal(outcome.output, record, work.key)
    with transaction.atomic():
        _hold(work.claim)
        record.save()
        blobs = [
            Blob(pk=draft.blob_id, upload=work.run.upload, is_content=False, size=draft.size)
            for draft in recording.drafts.items
        ]
        Blob.objects.bulk_create(blobs)
        Artifact.objects.bulk_create(
            Artifact(
                record=record,
                blob=blob,
                name=draft.name,
                media_type=draft.media_type,
                size=draft.size,
                sha256=draft.sha256,
            )
            for draft, blob in zip(recording.drafts.items, blobs, strict=True)
        )
        _tell(work.run, record)


def _hold(claim: Claim) -> None:
    """Make sure, inside a transaction, that the run is still ours."""
    if not renew(claim):
        raise ClaimLost


def _tell(run: Run, record: StepRecord) -> None:
    announce(
        run.owner_id,
        "step.changed",
        run=run.pk,
        upload=run.upload_id,
        step=record.step,
        position=record.position,
        state=record.state,
    )


# --- Reading ----------------------------------------------------------------------------------


def outputs_so_far(work: Work) -> Outputs:
    """Return the outputs of the steps that have had their effect, by step name, in order."""
    records = _succeeded(work.run).filter(position__gte=0)
    return {record.step: _unseal(record, work.key) or {} for record in records}


def checks_so_far(work: Work) -> Outputs:
    """Return the answers of the checks that have been made in this run, by name."""
    records = _succeeded(work.run).filter(position__lt=0)
    return {record.step: _unseal(record, work.key) or {} for record in records}


def trace_of(run: Run) -> list[StepView]:
    """Return all records of a run, attempts included, in order; a fixed number of queries."""
    key = upload_key(run.upload_id)
    records = run.records.prefetch_related("artifacts").order_by("position", "attempt")
    return [
        StepView(record, _unseal(record, key), list(record.artifacts.all())) for record in records
    ]


def _succeeded(run: Run) -> QuerySet[StepRecord]:
    return run.records.filter(state=StepState.SUCCEEDED).order_by("position")


def _seal(output: Output | None, record: StepRecord, key: bytes) -> bytes | None:
    if output is None:
        return None
    text = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    return seal(text.encode("utf-8", "surrogatepass"), key=key, context=_context(record))


def _unseal(record: StepRecord, key: bytes) -> Output | None:
    if record.sealed_output is None:
        return None
    text = unseal(bytes(record.sealed_output), key=key, context=_context(record))
    output: Output = json.loads(text)
    return output


def _context(record: StepRecord) -> bytes:
    """Bind an output to its place: it does not open as the result of another step or run."""
    return b"output" + record.run_id.bytes + (record.position % 2**16).to_bytes(2, "big")
