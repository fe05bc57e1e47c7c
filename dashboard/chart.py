"""A run as rows on a time axis: receiving, waiting, then each attempt at each step."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from dashboard.results import Record
from dashboard.waterfall import Axis, Bar, Span, Tick
from processing.models import Run, RunState, StepState
from uploads.models import Upload


@dataclass(frozen=True)
class Row:
    """One line of the chart. `bar` is None for what took no time, or took it in another run."""

    kind: str  # receive, wait, step
    state: str
    title: str
    attempt: int  # 1, 2, ... among the records of the same step; 0: taken over from another run
    offset_ms: float | None
    duration_ms: float | None
    bar: Bar | None


@dataclass(frozen=True)
class Chart:
    """Rows, ticks, and the time from the first byte, or the start of the run, to the end."""

    rows: Sequence[Row]
    ticks: Sequence[Tick]
    total_ms: float

    @property
    def is_cut(self) -> bool:
        """Tell whether any bar is drawn shorter than it was."""
        return any(row.bar is not None and row.bar.cut for row in self.rows)


def chart_of(
    run: Run, records: Sequence[Record], *, is_first: bool, now: datetime | None = None
) -> Chart:
    """Return the chart of a run; what has not ended lasts until `now`.

    The first run over an upload begins with its arrival; a later one has nothing to receive.
    """
    now = now or timezone.now()
    receiving = [_receiving(run.upload)] if is_first else []
    drawn = [*receiving, _waiting(run, records, now), *_steps(records, now)]
    spans = [span for _, span in drawn if span is not None]
    axis = Axis(spans)
    begin = min(span.begin for span in spans)
    rows = [
        row
        if span is None
        else replace(
            row,
            bar=axis.bar(span),
            offset_ms=(span.begin - begin).total_seconds() * 1000,
            duration_ms=_length_ms(span) if row.duration_ms is None else row.duration_ms,
        )
        for row, span in drawn
    ]
    end = run.ended_at or now
    return Chart(rows, list(axis.ticks()), (end - begin).total_seconds() * 1000)


def _receiving(upload: Upload) -> tuple[Row, Span]:
    span = Span(upload.began_at, max(upload.began_at, upload.created_at), works=False)
    return _row("receive", "succeeded", "Receiving"), span


def _waiting(run: Run, records: Sequence[Record], now: datetime) -> tuple[Row, Span]:
    starts = [record.view.record.started_at for record in records if record.view.record.attempt]
    end = min(starts, default=run.started_at or run.ended_at or now)
    state = "running" if run.state == RunState.QUEUED and not starts else "succeeded"
    return (
        _row("wait", state, "Waiting in the queue"),
        Span(run.created_at, max(run.created_at, end), works=False),
    )


def _steps(records: Sequence[Record], now: datetime) -> Iterable[tuple[Row, Span | None]]:
    seen: Counter[int] = Counter()
    for titled in records:
        record = titled.view.record
        is_own = record.attempt > 0  # not taken over from an earlier run
        seen[record.position] += is_own
        row = _row(
            "step",
            record.state,
            titled.title,
            attempt=seen[record.position] if is_own else 0,
            duration_ms=record.duration_ms,
        )
        end = record.ended_at or max(now, record.started_at)
        is_drawn = is_own and record.state != StepState.SKIPPED
        yield row, Span(record.started_at, end) if is_drawn else None


def _row(
    kind: str, state: str, title: str, *, attempt: int = 1, duration_ms: float | None = None
) -> Row:
    return Row(
        kind=kind,
        state=state,
        title=title,
        attempt=attempt,
        offset_ms=None,
        duration_ms=duration_ms,
        bar=None,
    )


def _length_ms(span: Span) -> float:
    return (span.end - span.begin).total_seconds() * 1000
