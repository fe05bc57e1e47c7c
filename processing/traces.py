"""The only writer of step records, and the reader of traces.

A record is noted in the journal when a step begins and when it ends, however it ends; the journal
writes what it holds in one transaction, under the fences of the claims.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from config.errors import AppError
from config.ids import uuid7
from config.rows import insert, made
from processing import caps
from processing.artifacts import Draft, Drafts
from processing.definitions import definition_of
from processing.journal import Journal, Note
from processing.models import Artifact, Run, StepRecord, StepState
from processing.outputs import open_output, seal_output
from processing.pipelines import InvalidPipeline
from processing.queue import Claim, ClaimLost
from processing.sandbox import StepOutcome
from processing.steps import personal_data, search_terms
from processing.steps.contract import Output, StepFailed
from processing.webhooks import outbox
from processing.webhooks.models import Delivery
from uploads import search, verdicts
from uploads.keys import upload_key, upload_keys
from uploads.models import Blob

Outputs = dict[str, Output]  # by step name

TEXT_NAME = "text.txt"  # the artifact that every step that makes a text gives it in


@dataclass
class Work:
    """A run that is being worked on: its claim, its row, the key of its upload.

    `ready_at` is when its next step could begin.
    """

    claim: Claim
    run: Run
    key: bytes
    journal: Journal
    ready_at: datetime


@dataclass
class Recording:
    """What a step in progress adds to its record."""

    drafts: Drafts
    outcome: StepOutcome | None = None
    deliveries: list[Delivery] = field(default_factory=list)


@dataclass(frozen=True)
class StepView:
    """One record as its owner sees it; `output` unsealed, None where there is none."""

    record: StepRecord
    output: Output | None
    artifacts: Sequence[Artifact]


# --- Writing ----------------------------------------------------------------------------------


@contextmanager
def recorded(work: Work, *, position: int, step: str, kind: str) -> Iterator[Recording]:
    """Record one attempt at one step.

    Raises:
        ClaimLost: another worker has the run, as far as is known by now.
        NoTurn: too many are at this step.
    """
    started_at = timezone.now()
    record = made(
        StepRecord,
        {"run": work.run},
        id=uuid7(),
        run_id=work.run.pk,
        position=position,
        step=step,
        kind=kind,
        attempt=work.claim.fence,
        state=StepState.RUNNING,
        queue_ms=_ms(work.ready_at, started_at),
        started_at=started_at,
    )
    caps.admit(work.journal, work.claim, Note(record))
    recording = Recording(Drafts(work.run.upload, work.key))
    began = time.monotonic()
    try:
        yield recording
        record.state = StepState.SUCCEEDED
    except BaseException as error:  # django-q2 raises its timeout as a SystemExit
        fail(record, error)
        recording.outcome = getattr(error, "usage", None)
        recording.drafts.discard()
        recording.drafts.items.clear()
        recording.deliveries.clear()
        raise
    finally:
        _complete(work, record, recording, began)
        try:
            note = Note(
                record,
                recording.drafts.items,
                _terms(record, recording),
                _is_personal(record, recording),
                recording.deliveries,
            )
            work.journal.note(work.claim, note)
        except ClaimLost:
            recording.drafts.discard()
            raise


def fail(record: StepRecord, error: BaseException) -> None:
    """Make it the record of a step that had no effect."""
    record.state = StepState.FAILED
    record.error_code, record.error_detail = reason_of(error)
    record.sealed_output = None


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return a stable code and a sentence for whatever ended a step; never its own message."""
    if isinstance(error, StepFailed | AppError):
        return error.code, str(error)
    return "worker_failed", f"The worker was interrupted ({type(error).__name__})."


def skip(work: Work, steps: Iterable[tuple[int, str]], *, caused_by: str) -> None:
    """Record the steps, by position and name, that are not run, and what they owe it to."""
    now = timezone.now()
    for position, step in steps:
        record = StepRecord(
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
        work.journal.note(work.claim, Note(record))


def skipped(run: Run) -> list[str]:
    """Return the names of the steps that a run went past."""
    return list(run.records.filter(state=StepState.SKIPPED).values_list("step", flat=True))


def failures(work: Work, position: int) -> int:
    """Return how often a step of this run has failed, this time included."""
    if work.claim.fence == 1:
        return 1
    earlier = work.run.records.exclude(attempt=work.claim.fence)
    return 1 + earlier.filter(position=position, state=StepState.FAILED).count()


def abandon(run: Run) -> int:
    """Close the records that a killed worker left open; return how many."""
    return run.records.filter(state=StepState.RUNNING).update(**_lost())


def abandon_claim(run: Run) -> None:
    """Let the latest claim of a run, whose worker is gone, leave its trace.

    A worker that died before it had told of a step leaves no record. Then the step at which the
    run stood gets one.
    """
    if abandon(run) or run.records.filter(attempt=run.fence, state=StepState.ABANDONED).exists():
        return
    done = set(run.records.exclude(state=StepState.FAILED).values_list("position", flat=True))
    try:
        uses = definition_of(run.version).steps
    except InvalidPipeline:  # a step of it is not installed any more
        return
    for position, use in enumerate(uses):
        if position not in done:
            StepRecord.objects.create(
                run=run,
                position=position,
                step=use.name,
                kind=use.step,
                attempt=run.fence,
                started_at=run.claimed_at or run.created_at,
                **_lost(),
            )
            return


def _lost() -> dict[str, Any]:
    return {
        "state": StepState.ABANDONED,
        "ended_at": timezone.now(),
        "error_code": "worker_lost",
        "error_detail": "The worker disappeared in the middle of the step.",
    }


def write(notes: Sequence[Note]) -> None:
    """Write records with what belongs to them; the caller holds their claims."""
    fresh = [note.record for note in notes if note.record._state.adding]
    known = [note.record for note in notes if not note.record._state.adding]
    insert(fresh)
    for record in known:
        record.save()
    outputs = [(note.record, draft) for note in notes for draft in note.drafts]
    insert([_blob(*output) for output in outputs])
    insert([_artifact(*output) for output in outputs])
    for note in notes:
        if note.terms is not None:
            search.index(note.record.run.upload, note.terms)
    verdicts.tell_personal_data(
        {
            (note.record.run.upload_id, note.record.step): note.is_personal
            for note in notes
            if note.is_personal is not None
        }
    )
    outbox.put([delivery for note in notes for delivery in note.deliveries])


def _blob(record: StepRecord, draft: Draft) -> Blob:
    return made(
        Blob,
        id=draft.blob_id,
        upload_id=record.run.upload_id,
        size=draft.size,
        is_content=False,
    )


def _artifact(record: StepRecord, draft: Draft) -> Artifact:
    return made(
        Artifact,
        id=uuid7(),
        record_id=record.pk,
        blob_id=draft.blob_id,
        name=draft.name,
        media_type=draft.media_type,
        size=draft.size,
        sha256=draft.sha256,
    )


def _complete(work: Work, record: StepRecord, recording: Recording, began: float) -> None:
    record.ended_at = work.ready_at = timezone.now()
    record.duration_ms = (time.monotonic() - began) * 1000
    if outcome := recording.outcome:
        record.cpu_ms, record.max_rss_bytes = outcome.cpu_ms, outcome.max_rss_bytes
        record.bytes_in, record.bytes_out = outcome.bytes_in, outcome.bytes_out
        if record.state == StepState.SUCCEEDED:
            record.sealed_output = seal_output(_kept(outcome.output, record), record, work.key)


def _kept(output: Output, record: StepRecord) -> Output:
    """Return what the record keeps of an output: not the words, which go into the index."""
    if record.kind != search_terms.step.name:
        return output
    return {key: value for key, value in output.items() if key != "terms"}


def _terms(record: StepRecord, recording: Recording) -> list[str] | None:
    """Return the words that a step found for the index; its child is not trusted."""
    outcome = recording.outcome
    is_finding = record.kind == search_terms.step.name
    if not is_finding or record.state != StepState.SUCCEEDED or outcome is None:
        return None
    found = outcome.output.get("terms")
    terms = found if isinstance(found, list) else []
    return [term for term in terms[: search_terms.MAX_TERMS] if isinstance(term, str)]


def _is_personal(record: StepRecord, recording: Recording) -> bool | None:
    """Return whether a step found personal data; None where it is not the one that looks."""
    outcome = recording.outcome
    is_looking = record.kind == personal_data.step.name
    if not is_looking or record.state != StepState.SUCCEEDED or outcome is None:
        return None
    return bool(outcome.output.get("found"))


def _ms(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() * 1000)


def take_over(source: Run, target: Run, *, positions: Collection[int]) -> list[str]:
    """Give `target` the finished steps of `source` at these positions; return their names."""
    key = upload_key(source.upload_id)
    records = _succeeded(source).filter(position__in=positions).prefetch_related("artifacts")
    for record in records:
        artifacts = list(record.artifacts.all())
        output = open_output(record, key)
        record.pk = StepRecord._meta.pk.get_default()
        record._state.adding = True
        record.run, record.attempt, record.caused_by = target, 0, f"run {source.pk}"
        record.sealed_output = seal_output(output, record, key)
        record.save(force_insert=True)
        for artifact in artifacts:
            artifact.pk = Artifact._meta.pk.get_default()
            artifact._state.adding = True
            artifact.record = record
            artifact.save(force_insert=True)
    return [record.step for record in records]


# --- Reading ----------------------------------------------------------------------------------


def outputs_so_far(work: Work) -> Outputs:
    """Return the outputs of the steps that have had their effect, by step name, in order."""
    if work.claim.fence == 1 and not work.run.from_step:
        return {}
    records = _succeeded(work.run).filter(position__gte=0)
    return {record.step: open_output(record, work.key) or {} for record in records}


def text_of(work: Work, step: str) -> Artifact | None:
    """Return the text that a step of this run has made; None if it has made none."""
    work.journal.flush()  # bytes that are not durable cannot be read
    made = Artifact.objects.select_related("blob__upload").filter(
        record__run=work.run,
        record__step=step,
        record__state=StepState.SUCCEEDED,
        name=TEXT_NAME,
    )
    return made.first()


def checks_so_far(work: Work) -> Outputs:
    """Return the answers of the checks that have been made in this run, by name."""
    if work.claim.fence == 1:
        return {}
    records = _succeeded(work.run).filter(position__lt=0)
    return {record.step: open_output(record, work.key) or {} for record in records}


def trace_of(run: Run) -> list[StepView]:
    """Return all records of a run, attempts included, in order; a fixed number of queries."""
    key = upload_key(run.upload_id)
    records = run.records.prefetch_related("artifacts").order_by("position", "attempt")
    return [StepView(each, open_output(each, key), list(each.artifacts.all())) for each in records]


@dataclass(frozen=True)
class Effect:
    """What a step of a run made: its output, and its artifacts."""

    output: Output
    artifacts: Sequence[Artifact]


def effects_of(runs: Collection[Run]) -> dict[UUID, dict[str, Effect]]:
    """Return what the steps of many runs made, by run and step; a fixed number of queries."""
    uploads = {run.pk: run.upload_id for run in runs}
    keys = upload_keys(set(uploads.values()))
    records = StepRecord.objects.filter(
        run_id__in=uploads, state=StepState.SUCCEEDED, position__gte=0
    ).prefetch_related("artifacts")
    effects: dict[UUID, dict[str, Effect]] = {run_id: {} for run_id in uploads}
    for record in records.order_by("position"):
        key = keys[uploads[record.run_id]]
        artifacts = list(record.artifacts.all())
        effects[record.run_id][record.step] = Effect(open_output(record, key) or {}, artifacts)
    return effects


def _succeeded(run: Run) -> QuerySet[StepRecord]:
    return run.records.filter(state=StepState.SUCCEEDED).order_by("position")
