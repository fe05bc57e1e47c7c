"""A run as rows on time axes, one axis for each attempt: receiving, waiting, then the steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from django.utils import timezone

from dashboard.results import Record
from dashboard.waterfall import Axis, Bar, Span, Tick
from processing.models import Run, RunState, StepState
from uploads.models import Upload


@dataclass(frozen=True)
class Row:
    """One line of the chart. `bar` is None for what took no time, or took it in another run.

    `offset_ms` counts from the begin of the attempt.
    """

    kind: str  # receive, wait, step
    state: str
    title: str
    is_own: bool = True  # not taken over from another run
    offset_ms: float | None = None
    duration_ms: float | None = None
    bar: Bar | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run, on an axis of its own. `pause_ms` lies between the last one and it."""

    number: int
    rows: Sequence[Row]
    ticks: Sequence[Tick]
    begin: datetime
    end: datetime
    pause_ms: float | None = None


@dataclass(frozen=True)
class Chart:
    """The attempts at a run in their order.

    `total_ms` goes from the first byte, or the start of the run, to the end of the last attempt;
    `work_ms` is how long steps took in it, of all attempts.
    """

    attempts: Sequence[Attempt]
    total_ms: float
    work_ms: float

    @property
    def is_cut(self) -> bool:
        """Tell whether any bar is drawn shorter than it was."""
        rows = (row for attempt in self.attempts for row in attempt.rows)
        return any(row.bar is not None and row.bar.cut for row in rows)


def chart_of(
    run: Run, records: Sequence[Record], *, is_first: bool, now: datetime | None = None
) -> Chart:
    """Return the chart of a run; what has not ended lasts until `now`.

    The first run over an upload begins with its arrival; a later one has nothing to receive. What
    was taken over from another run stands with the first attempt.
    """
    now = now or timezone.now()
    in_order = sorted(records, key=attrgetter("attempt"))
    groups = [list(group) for _, group in groupby(in_order, key=attrgetter("attempt"))]
    first, *later = groups or [[]]
    receiving = [_receiving(run.upload)] if is_first else []
    attempts = [_attempt(1, [*receiving, _waiting(run, first, now), *_steps(first, now)])]
    for number, group in enumerate(later, 2):
        drawn = [_waiting_again(group), *_steps(group, now)]
        attempts.append(_attempt(number, drawn, after=attempts[-1]))
    if groups and _has_nothing_yet(run, groups[-1]):
        row = Row("wait", "running", "Waiting in the queue")
        span = Span(min(max(run.due_at, attempts[-1].end), now), now, works=False)
        attempts.append(_attempt(len(attempts) + 1, [(row, span)], after=attempts[-1]))
    return Chart(
        attempts=attempts,
        total_ms=_ms(attempts[0].begin, max(run.ended_at or now, attempts[-1].end)),
        work_ms=sum(
            row.duration_ms or 0
            for attempt in attempts
            for row in attempt.rows
            if row.kind == "step" and row.is_own
        ),
    )


def _has_nothing_yet(run: Run, latest: Sequence[Record]) -> bool:
    """Tell whether an attempt is due, or has just begun, that has left no record so far."""
    if run.state == RunState.QUEUED:
        return True
    return run.state == RunState.RUNNING and run.fence > latest[-1].view.record.attempt


def _attempt(
    number: int, drawn: Sequence[tuple[Row, Span | None]], *, after: Attempt | None = None
) -> Attempt:
    spans = [span for _, span in drawn if span is not None]
    axis = Axis(spans)
    begin, end = min(span.begin for span in spans), max(span.end for span in spans)
    rows = [
        row
        if span is None
        else replace(
            row,
            bar=axis.bar(span),
            offset_ms=_ms(begin, span.begin),
            duration_ms=_ms(span.begin, span.end) if row.duration_ms is None else row.duration_ms,
        )
        for row, span in drawn
    ]
    pause_ms = None if after is None else max(0.0, _ms(after.end, begin))
    return Attempt(number, rows, list(axis.ticks()), begin, end, pause_ms)


def _receiving(upload: Upload) -> tuple[Row, Span]:
    span = Span(upload.began_at, max(upload.began_at, upload.created_at), works=False)
    return Row("receive", "succeeded", "Receiving"), span


def _waiting(run: Run, records: Sequence[Record], now: datetime) -> tuple[Row, Span]:
    starts = [record.view.record.started_at for record in records if record.view.record.attempt]
    end = min(starts, default=run.started_at or run.ended_at or now)
    state = "running" if run.state == RunState.QUEUED and not starts else "succeeded"
    span = Span(run.created_at, max(run.created_at, end), works=False)
    return Row("wait", state, "Waiting in the queue"), span


def _waiting_again(records: Sequence[Record]) -> tuple[Row, Span]:
    first = min((record.view.record for record in records), key=lambda record: record.started_at)
    begin = first.started_at - timedelta(milliseconds=first.queue_ms or 0)
    return Row("wait", "succeeded", "Waiting in the queue"), Span(
        begin, first.started_at, works=False
    )


def _steps(records: Sequence[Record], now: datetime) -> Iterable[tuple[Row, Span | None]]:
    for titled in records:
        record = titled.view.record
        is_own = record.attempt > 0
        row = Row("step", record.state, titled.title, is_own=is_own, duration_ms=record.duration_ms)
        end = record.ended_at or max(now, record.started_at)
        is_drawn = is_own and record.state != StepState.SKIPPED
        yield row, Span(record.started_at, end) if is_drawn else None


def _ms(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1000
