"""Where django-q2's pusher gets its tasks: rows in our database, and a bell instead of polling."""

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from django.db import Error, connection, transaction
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from processing.queue import bell, messages
from processing.queue.stop import STOP

logger = logging.getLogger(__name__)

POLL_S = 1.0  # how long a lost ring can go unnoticed
TICK_S = 2.0  # how long it takes until due runs without a message, or abandoned ones, are seen
AT_ONCE = 500  # rows

Delivery = tuple[None, str]  # an id to acknowledge, which we have no use for, and a signed task


def submit(run_id: UUID) -> None:
    """Write the queue entry of a run and ring, both as part of the current transaction."""
    with transaction.atomic():
        BellBroker().enqueue(messages.sign(run_id))
        bell.ring_on_commit()


class BellBroker(ORM):  # type: ignore[misc]
    """django-q2's ORM broker, waiting for a bell, taking rows for good.

    A row is deleted when it is taken: the ledger knows what has not been done. More messages
    than there are workers are not passed on, because a worker that is woken goes on until the
    ledger has nothing left.
    """

    _bell: bell.Bell | None = None
    _ticked_at = float("-inf")

    def dequeue(self) -> Sequence[Delivery]:
        """Return what arrives within POLL_S seconds, and now and then a tick for each worker."""
        try:
            run_ids = self._wait_for_messages()
        except Error:
            # django-q2 would answer with a pause of 10 s and a new process.
            logger.warning("queue out of reach", exc_info=True)
            connection.close()
            self._stop_listening()
            STOP.wait(POLL_S)
            return []
        tasks = [messages.execute_task(run_id) for run_id in run_ids[: Conf.WORKERS]]
        return [(None, task) for task in (*tasks, *self._ticks())]

    def _wait_for_messages(self) -> Sequence[UUID]:
        self._bell = self._bell or bell.listen()
        run_ids = self._take()
        if not run_ids and self._bell.wait(POLL_S, unless=STOP.fileno()):
            run_ids = self._take()
        return run_ids

    def _take(self) -> Sequence[UUID]:
        queued = self.get_connection().filter(key=self.list_key).order_by("id")
        rows = list(queued.values_list("id", "payload")[:AT_ONCE])
        if not rows:
            return []
        self.get_connection().filter(pk__in=[pk for pk, _ in rows]).delete()
        run_ids: dict[UUID, None] = {}
        for pk, payload in rows:
            if run_id := messages.read(payload):
                run_ids[run_id] = None
            else:
                logger.error("queue message refused", extra={"row": pk})
        return list(run_ids)

    def _ticks(self) -> Sequence[str]:
        if time.monotonic() - self._ticked_at < TICK_S:
            return []
        self._ticked_at = time.monotonic()
        return [messages.tick_task() for _ in range(Conf.WORKERS)]

    def _stop_listening(self) -> None:
        if self._bell:
            self._bell.close()
            self._bell = None
