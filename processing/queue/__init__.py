"""The queue: what is to be done is in the ledger; django-q2 wakes those who do it.

The only importer of django-q2. See docs/decisions/0003-queue.md.
"""

from uuid import UUID

from django.db import transaction

from processing.queue import ledger
from processing.queue.abandoned import requeue_abandoned
from processing.queue.broker import BellBroker, submit
from processing.queue.clock import now
from processing.queue.heartbeat import QueueHealth, WorkerSigns, health, workers
from processing.queue.keeper import held, is_lost
from processing.queue.ledger import (
    Claim,
    ClaimLost,
    Ending,
    cancel,
    claim,
    finish,
    release,
    renew,
    settle,
)
from processing.queue.pressure import is_full
from processing.queue.stop import stopping

__all__ = [
    "BellBroker",
    "Claim",
    "ClaimLost",
    "Ending",
    "QueueHealth",
    "WorkerSigns",
    "cancel",
    "claim",
    "finish",
    "health",
    "held",
    "is_full",
    "is_lost",
    "now",
    "release",
    "renew",
    "requeue",
    "requeue_abandoned",
    "settle",
    "stopping",
    "submit",
    "workers",
]


@transaction.atomic
def requeue(run_id: UUID) -> bool:
    """Queue a failed or cancelled run again; False when there is none."""
    if not ledger.reopen(run_id):
        return False
    submit(run_id)
    return True
