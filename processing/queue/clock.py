"""One time for all machines: the database's.

Leases are compared with it, so a worker whose clock is an hour off neither loses its claims nor
takes those of others. Asking costs a query; so the difference to our own steady clock is kept for a
minute. On SQLite there is one machine, and its clock.
"""

from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import connection
from django.utils import timezone

KEPT_S = 60.0

# A run is claimed so much before it is due: what one machine makes due now, another may see a
# moment earlier by its own account.
SLACK = timedelta(seconds=0.25)


class Clock:
    """Steady between two looks at the database, however the machine's clock is set meanwhile."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._ahead_s = 0.0  # of the steady clock

    def now(self) -> datetime:
        if connection.vendor != "postgresql":
            return timezone.now()
        if monotonic() - self._asked_at > KEPT_S:
            with connection.cursor() as cursor:
                cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
                (epoch_s,) = cursor.fetchone()
            self._asked_at = monotonic()
            self._ahead_s = float(epoch_s) - self._asked_at
        return datetime.fromtimestamp(monotonic() + self._ahead_s, UTC)


_clock = Clock()


def now() -> datetime:
    """Return the database's time."""
    return _clock.now()
