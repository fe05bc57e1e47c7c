"""Whether the queue can take more."""

import time
from functools import cache

from django.conf import settings

from processing.models import Run, RunState

LOOK_AGAIN_S = 1.0


class Gauge:
    """Looks at most every LOOK_AGAIN_S seconds, however often it is asked, and never counts on
    beyond the limit."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._is_full = False

    def is_full(self) -> bool:
        if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            limit = settings.PROCESSING["MAX_QUEUED"]
            queued = Run.objects.filter(state=RunState.QUEUED).order_by()
            self._is_full = queued[:limit].count() >= limit
            self._looked_at = time.monotonic()
        return self._is_full


def is_full() -> bool:
    """Tell whether so many runs wait that doors should ask for patience."""
    return _gauge().is_full()


@cache
def _gauge() -> Gauge:
    return Gauge()
