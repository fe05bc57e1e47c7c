"""What django-q2 calls in a worker. Nothing is raised: it would store messages and tracebacks."""

import logging
import os
import time
from collections.abc import Iterator
from uuid import UUID

from processing.queue import ledger
from processing.queue.heartbeat import Heart, name_of
from processing.queue.ledger import Claim
from processing.queue.stop import stopping

logger = logging.getLogger(__name__)

# A drain ends after this, even if there is more: django-q2 gets the worker back, looks after its
# connection, and begins its timeout anew. What is waiting in the cluster's queue goes on at once.
DRAIN_S = 60.0
# Runs claimed at once, of one owner. They share the costs of claims and commits; those behind a
# slow one are given back, and so is what is left when the owner's turn is over.
BUNDLE = 64

heart = Heart()


def execute_run(run_id: str) -> None:
    """Execute a run, unless somebody has it, and then whatever else is due.

    The id of a delivery wakes the courier, and is no run.
    """
    _work(run_id)


def tick() -> None:
    """Look for what no message tells of: due runs that nobody took."""
    _work(None)


def _work(run_id: str | None) -> None:
    from processing import runner  # noqa: PLC0415 - it imports this package
    from processing.webhooks import courier  # noqa: PLC0415 - as above

    courier.wake()
    try:
        heart.beat()
        bundles = _bundles(UUID(run_id) if run_id is not None else None)
        end = time.monotonic() + DRAIN_S
        while not stopping() and time.monotonic() < end and (claims := next(bundles, None)):
            runner.execute(*claims)
            heart.beat()
    except Exception:
        logger.exception("drain interrupted")


def _bundles(first: UUID | None) -> Iterator[list[Claim]]:
    worker = name_of(os.getpid(), parent=os.getppid())
    if first and (claim := ledger.claim(first, worker)):
        yield [claim]
    yield from ledger.bundles(worker, size=BUNDLE)
