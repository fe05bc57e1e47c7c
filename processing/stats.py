"""Statistics for one owner: what the ancestor's page showed, over a bounded window."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import quantiles

from django.db.models import Count, Sum
from django.utils import timezone

from config.accounts.models import User
from processing.models import Run, RunState, StepRecord, StepState
from uploads.models import Upload, UploadState

WINDOW = timedelta(days=7)
MAX_RECORDS = 10_000  # the latest ones of the window: what a page may cost
MAX_ERRORS = 20
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
        if len(self.durations_ms) == 1:
            return self.durations_ms[0]
        return quantiles(self.durations_ms, n=20, method="inclusive")[-1]


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
    lately = runs.filter(ended_at__gt=now - timedelta(days=1))
    return Stats(
        uploads=sum(counted.values()),
        bytes=uploads.aggregate(total=Sum("size"))["total"] or 0,
        by_state={state: counted.get(state, 0) for state in UploadState.values},
        ended_last_hour=lately.filter(ended_at__gt=now - timedelta(hours=1)).count(),
        ended_last_day=lately.count(),
        failed_last_day=lately.filter(state=RunState.FAILED).count(),
        steps=_steps_of(owner, now - WINDOW),
        errors=list(
            runs.filter(state=RunState.FAILED)
            .select_related("upload", "version__pipeline")
            .order_by("-id")[:MAX_ERRORS]
        ),
    )


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
