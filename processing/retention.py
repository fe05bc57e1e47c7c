"""Traces are kept as long as their uploads, but not every detail of them.

Of a run that succeeded long ago, attempts that came to nothing are of no use to anybody: those are
removed, and what had an effect stays.
"""

from datetime import datetime

from django.db.models import Exists, OuterRef

from processing.models import RunState, StepRecord, StepState

AT_ONCE = 1000


def compact(*, ended_before: datetime) -> int:
    """Remove attempts without effect from runs that succeeded; return how many there were."""
    effect = StepRecord.objects.filter(
        run=OuterRef("run"), position=OuterRef("position"), state=StepState.SUCCEEDED
    )
    useless = StepRecord.objects.filter(
        Exists(effect),
        state__in=(StepState.FAILED, StepState.ABANDONED),
        run__state=RunState.SUCCEEDED,
        run__ended_at__lt=ended_before,
    ).order_by()
    removed = 0
    while ids := list(useless.values_list("pk", flat=True)[:AT_ONCE]):
        removed += StepRecord.objects.filter(pk__in=ids).delete()[0]
    return removed
