"""The page of all runs of a user: what waits, how long it takes, what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from config.accounts.models import User
from config.ids import least_id_of
from dashboard.names import printable
from dashboard.paging import page_of
from processing import queue, stats
from processing.definitions import visible_to
from processing.models import Pipeline, Run, RunState
from processing.runs import RETRIABLE
from uploads.names import names_of

PAGE_SIZE = 50
PARKED = "attempts_exhausted"  # the code of a run whose worker died at it again and again

# What `state` may say in an address -> how it is called, and which runs those are.
STATES: Mapping[str, tuple[str, Q]] = {
    **{state.value: (str(state.label), Q(state=state)) for state in RunState},
    "parked": ("Parked", Q(state=RunState.FAILED, error_code=PARKED)),
}
SINCE: Mapping[str, tuple[str, timedelta]] = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last day", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
}


@dataclass(frozen=True)
class RunNarrowing:
    """What the list of runs is narrowed to. Empty: it is not."""

    state: str = ""
    pipeline: str = ""
    since: str = ""

    states = tuple((key, label) for key, (label, _) in STATES.items())
    periods = tuple((key, label) for key, (label, _) in SINCE.items())

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read the query of an address. What it does not know narrows nothing."""
        state, since = query.get("state", ""), query.get("since", "")
        return cls(
            state=state if state in STATES else "",
            pipeline=query.get("pipeline", "")[:50],
            since=since if since in SINCE else "",
        )

    @property
    def is_chosen(self) -> bool:
        """Tell whether it narrows anything."""
        return bool(self.state or self.pipeline or self.since)

    def of_those(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """Return those of the runs that it narrows to."""
        if self.state:
            runs = runs.filter(STATES[self.state][1])
        if self.pipeline:
            runs = runs.filter(version__pipeline__name=self.pipeline)
        if self.since:
            runs = runs.filter(pk__gt=least_id_of(timezone.now() - SINCE[self.since][1]))
        return runs


ALL_RUNS = RunNarrowing()


@dataclass(frozen=True)
class RunRow:
    """One line of the list."""

    run: Run
    name: str

    @property
    def waited_ms(self) -> float | None:
        """Return how long it waited for its first step; None while it does."""
        return _ms_between(self.run.created_at, self.run.started_at)

    @property
    def worked_ms(self) -> float | None:
        """Return how long it took from its first step to its end."""
        return _ms_between(self.run.started_at, self.run.ended_at)

    @property
    def can_retry(self) -> bool:
        """Tell whether it ended short of its aim."""
        return self.run.state in RETRIABLE


@dataclass(frozen=True)
class Waiting:
    """What waits to be worked on, and what is at work."""

    queued: int
    running: int
    oldest_due_at: datetime | None


@dataclass(frozen=True)
class RunsPage:
    """A page of the runs of one user; what concerns all users is None for who is no staff."""

    narrowing: RunNarrowing
    pipelines: Sequence[Pipeline]
    rows: Sequence[RunRow]
    is_first: bool
    next_before: UUID | None
    waiting: Waiting
    throughput: stats.Throughput
    times: stats.RunTimes | None
    all_waiting: Waiting | None
    workers: Sequence[queue.WorkerSigns] | None


def runs_page(
    user: User, narrowing: RunNarrowing = ALL_RUNS, *, before: UUID | None = None
) -> RunsPage:
    """Return a page of the runs that the list is narrowed to, older than `before`."""
    owned = Run.objects.owned_by(user)
    chosen = listed(user, narrowing)
    if before is not None:
        chosen = chosen.filter(pk__lt=before)
    shown, next_before = page_of(chosen, PAGE_SIZE)
    return RunsPage(
        narrowing=narrowing,
        pipelines=[version.pipeline for version in visible_to(user)],
        rows=rows_of(shown),
        is_first=before is None,
        next_before=next_before,
        waiting=_waiting(owned),
        throughput=stats.throughput_of(user),
        times=stats.run_times_of(user),
        all_waiting=_waiting(Run.objects.all()) if user.is_staff else None,
        workers=queue.workers() if user.is_staff else None,
    )


def listed(user: User, narrowing: RunNarrowing) -> QuerySet[Run]:
    """Return the runs of one user that the list is narrowed to, newest first."""
    runs = narrowing.of_those(Run.objects.owned_by(user)).order_by("-id")
    return runs.select_related("upload", "version__pipeline").defer(
        "version__definition", "version__source"
    )


def rows_of(runs: Sequence[Run]) -> list[RunRow]:
    """Return the lines of some runs, in two queries."""
    names = names_of({run.upload_id: run.upload for run in runs}.values())
    return [RunRow(run, printable(names[run.upload_id])) for run in runs]


def _waiting(runs: QuerySet[Run]) -> Waiting:
    """Count what is due and what is at work, in one query; what is due later does not wait.

    It begins with what has not ended, which has indexes, and is few: a history is long.
    """
    due = Run.objects.filter(state=RunState.QUEUED, due_at__lte=queue.now())
    running = Run.objects.filter(state=RunState.RUNNING)
    open_ids = due.values("pk").union(running.values("pk"), all=True)
    found = runs.filter(pk__in=open_ids).aggregate(
        queued=Count("pk", filter=Q(state=RunState.QUEUED)),
        running=Count("pk", filter=Q(state=RunState.RUNNING)),
        oldest=Min("due_at", filter=Q(state=RunState.QUEUED)),
    )
    return Waiting(found["queued"], found["running"], found["oldest"])


def _ms_between(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin) / timedelta(milliseconds=1))
