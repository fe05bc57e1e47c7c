"""Where django-q2's pusher gets its tasks: rows in our database, and a bell instead of polling."""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from config.rows import insert
from processing.queue import bell, messages
from processing.queue.delivery import AT_ONCE, POLL_S, Delivery, Ticks, tasks_for
from processing.queue.stop import STOP

logger = logging.getLogger(__name__)


def submit(run_id: UUID) -> None:
    """Write the queue entry of a run, or of a delivery, and ring, both in this transaction.

    Where a broker is configured it is told instead, after the commit.
    """
    if settings.PROCESSING["BROKER_URL"]:
        from processing.queue import remote  # noqa: PLC0415 - needs an extra

        remote.submit(run_id)
        return
    with transaction.atomic(savepoint=False):
        insert([OrmQ(key=Conf.CLUSTER_NAME, payload=messages.sign(run_id), lock=timezone.now())])
        bell.ring_on_commit()


class BellBroker(ORM):  # type: ignore[misc]
    """django-q2's ORM broker, waiting for a bell, taking rows for good.

    A row is deleted when it is taken: the ledger knows what has not been done. More messages
    than there are workers are not passed on, because a worker that is woken goes on until the
    ledger has nothing left.
    """

    _bell: bell.Bell | None = None

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._ticks = Ticks()

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
        return tasks_for(run_ids[: Conf.WORKERS], self._ticks)

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

    def _stop_listening(self) -> None:
        if self._bell:
            self._bell.close()
            self._bell = None
