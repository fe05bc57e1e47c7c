"""How many runs may be at the same step at once, over all workers, where the operator says so.

What counts is in the trace: records in progress, of runs whose lease holds. So nothing has to be
given back when a worker dies.
"""

import zlib
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction

from processing.journal import Journal, Note
from processing.models import RunState, StepRecord, StepState
from processing.queue import Claim, now

PAUSE = timedelta(seconds=1)

# Source: PostgreSQL, section 9.28.10. The first of two numbers; the other one is of the step.
ADMISSION = 0x53746570


class NoTurn(Exception):
    """As many runs as may be are at this step: the run waits, and another takes its worker."""


def admit(journal: Journal, claim: Claim, note: Note) -> None:
    """Note that a step begins; where it has a cap, let everybody know before it does.

    Raises:
        NoTurn: it must not begin now, and is not noted.
    """
    kind = note.record.kind
    cap = settings.PROCESSING["STEP_CAPS"].get(kind)
    if cap is None:
        journal.note(claim, note)
        return
    journal.flush()
    with transaction.atomic():
        _queue_up(kind)
        if _at_it(kind) >= cap:
            raise NoTurn
        journal.note(claim, note)
        journal.flush()


def _queue_up(kind: str) -> None:
    """Let one after the other count; SQLite has one writer at a time anyway."""
    if connection.vendor == "postgresql":
        number = zlib.crc32(kind.encode()) - 2**31
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [ADMISSION, number])


def _at_it(kind: str) -> int:
    in_progress = StepRecord.objects.filter(kind=kind, state=StepState.RUNNING)
    alive = {"run__state": RunState.RUNNING, "run__lease_expires_at__gt": now()}
    return in_progress.filter(**alive).count()
