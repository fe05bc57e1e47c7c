"""Statistics for one owner: what the ancestor's page showed, over a bounded window."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Self

from django.db.models import Count, Q, Sum
from django.utils import timezone

from config.accounts.models import User
from config.ids import least_id_of
from processing.models import Run, RunState, StepRecord, StepState
from uploads.models import Upload, UploadState

WINDOW = timedelta(days=7)
MAX_RECORDS = 10_000  # the latest ones of the window: what a page may cost
MAX_ERRORS = 20
MAX_TIMED = 2_000  # the latest runs of a day, from which percentiles are told
DAY = timedelta(days=1)
ENDED_STEPS = (StepState.SUCCEEDED, StepState.FAILED)


@dataclass
class StepStats:
    """One step over the window; times in milliseconds."""

    step: str
    kind: str = ""  # the registered step that ran
    count: int = 0
    failed: int = 0
    durations_ms: list[float] = field(default_factory=list, repr=False)

    @property
    def mean_ms(self) -> float:
        """Return the mean duration."""
        return sum(self.durations_ms) / len(self.durations_ms)

    @property
    def p95_ms(self) -> float:
        """Return the duration that 95 of 100 executions stay under."""
        return percentile(self.durations_ms, 95)


@dataclass(frozen=True)
class Throughput:
    """How many runs of one owner ended lately."""

    ended_last_hour: int
    ended_last_day: int
    failed_last_day: int


@dataclass(frozen=True)
class Times:
    """What half of the runs, 95 and 99 of 100 stayed under, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Self:
        """Return the percentiles of some times, at least one."""
        return cls(*(percentile(times_ms, part) for part in (50, 95, 99)))


@dataclass(frozen=True)
class RunTimes:
    """The latest runs of the last day: until the first step could begin, and until the end."""

    count: int
    waited: Times
    whole: Times


@dataclass(frozen=True)
class Stats:
    """Counts of uploads by state, rates, steps and errors of one owner."""

    uploads: int
    bytes: int
    by_state: dict[str, int]
    ended_last_hour: int
    ended_last_day: int
    failed_last_day: int
    steps: Sequence[StepStats]
    errors: Sequence[Run]


def stats_of(owner: User) -> Stats:
    """Return the owner's statistics in a fixed number of queries."""
    now = timezone.now()
    uploads = Upload.objects.owned_by(owner)
    counted = dict(uploads.order_by().values_list("state").annotate(Count("id")))
    runs = Run.objects.owned_by(owner)
    lately = throughput_of(owner)
    return Stats(
        uploads=sum(counted.values()),
        bytes=uploads.aggregate(total=Sum("size"))["total"] or 0,
        by_state={state: counted.get(state, 0) for state in UploadState.values},
        ended_last_hour=lately.ended_last_hour,
        ended_last_day=lately.ended_last_day,
        failed_last_day=lately.failed_last_day,
        steps=_steps_of(owner, now - WINDOW),
        errors=list(
            runs.filter(state=RunState.FAILED)
            .select_related("upload", "version__pipeline")
            .order_by("-id")[:MAX_ERRORS]
        ),
    )


def throughput_of(owner: User) -> Throughput:
    """Count the runs that ended in the last hour and day."""
    now = timezone.now()
    lately = Run.objects.owned_by(owner).filter(ended_at__gt=now - DAY)
    counted = lately.aggregate(
        hour=Count("pk", filter=Q(ended_at__gt=now - timedelta(hours=1))),
        day=Count("pk"),
        failed=Count("pk", filter=Q(state=RunState.FAILED)),
    )
    return Throughput(counted["hour"], counted["day"], counted["failed"])


def run_times_of(owner: User) -> RunTimes | None:
    """Return how long runs took that were made in the last day, and ended; None without any."""
    made = Run.objects.owned_by(owner).filter(pk__gt=least_id_of(timezone.now() - DAY))
    ended = made.filter(state__in=(RunState.SUCCEEDED, RunState.FAILED))
    rows = ended.order_by("-id").values_list("created_at", "started_at", "ended_at")[:MAX_TIMED]
    timed = [(begun - born, end - born) for born, begun, end in rows if begun and end]
    if not timed:
        return None
    millisecond = timedelta(milliseconds=1)
    return RunTimes(
        count=len(timed),
        waited=Times.of([waited / millisecond for waited, _ in timed]),
        whole=Times.of([whole / millisecond for _, whole in timed]),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return what `percent` of 100 values stay under."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _steps_of(owner: User, since: datetime) -> list[StepStats]:
    rows = (
        StepRecord.objects.filter(
            run__owner=owner, started_at__gt=since, state__in=ENDED_STEPS, attempt__gt=0
        )
        .order_by("-id")
        .values_list("step", "kind", "state", "duration_ms")[:MAX_RECORDS]
    )
    steps: dict[str, StepStats] = defaultdict(lambda: StepStats(""))
    for name, kind, state, duration_ms in rows:
        step = steps[name]
        step.step = name
        step.kind = step.kind or kind  # the rows begin with the latest
        step.count += 1
        step.failed += state == StepState.FAILED
        step.durations_ms.append(duration_ms or 0.0)
    return sorted(steps.values(), key=lambda step: step.step)
