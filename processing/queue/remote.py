"""Redis or RabbitMQ in place of rows and bells. Needs the extra `brokers` (kombu).

What travels is the same signed id of a run. A message that is lost, doubled, late or forged
changes nothing but the time at which a worker looks into the ledger, so messages are sent after
the commit, taken for good when they arrive, and never waited for.
"""

import logging
import time
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django_q.brokers import Broker
from django_q.conf import Conf

from processing.queue import messages
from processing.queue.delivery import AT_ONCE, POLL_S, Delivery, Ticks, tasks_for
from processing.queue.stop import STOP

try:
    kombu: Any = import_module("kombu")
    pools: Any = import_module("kombu.pools")
    exceptions: Any = import_module("kombu.exceptions")
except ImportError:
    raise ImproperlyConfigured(
        "STRONGROOM_BROKER_URL needs kombu: install the extra with "
        "`pip install strongroom[brokers]`."
    ) from None

logger = logging.getLogger(__name__)

QUEUE = "strongroom.runs"
CONNECT_S = 1.0
SILENT_S = 10.0  # after a broker did not take a message, nobody tries for so long
MESSAGE_TTL_S = 3600  # a message nobody took says nothing by then: due runs are found anyway


def submit(run_id: UUID) -> None:
    """Tell of a run once the current transaction is committed."""
    payload = messages.sign(run_id)
    transaction.on_commit(lambda: _sender().send(payload), robust=True)


class Sender:
    """Sends, and leaves a broker alone for a while that does not answer."""

    def __init__(self) -> None:
        self._connection = _connection()
        self._silent_until = 0.0

    def send(self, payload: str) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            with pools.producers[self._connection].acquire(
                block=True, timeout=CONNECT_S
            ) as producer:
                producer.publish(
                    payload,
                    routing_key=QUEUE,
                    declare=[_queue()],
                    serializer="raw",
                    content_type="text/plain",
                    content_encoding="utf-8",
                    delivery_mode="transient",
                )
        except _troubles(self._connection):
            self._silent_until = time.monotonic() + SILENT_S
            logger.warning("broker out of reach; runs are found by the ticks", exc_info=True)


class RemoteBroker(Broker):  # type: ignore[misc]
    """Takes messages off the broker, and ticks whether there is a broker or not."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._ticks = Ticks()
        self._link: Any = None
        self._arrived: list[bytes] = []

    @staticmethod
    def get_connection(list_key: str) -> None:  # noqa: ARG004 - django-q2's
        return None

    def dequeue(self) -> Sequence[Delivery]:
        """Return what arrives within POLL_S seconds, and now and then a tick for each worker."""
        run_ids: list[UUID] = []
        try:
            run_ids = self._wait_for_messages()
        except _troubles(self._link or _connection()):
            logger.warning("broker out of reach", exc_info=True)
            self._hang_up()
            STOP.wait(POLL_S)
        return tasks_for(run_ids[: Conf.WORKERS], self._ticks)

    def _wait_for_messages(self) -> list[UUID]:
        link = self._link or self._call()
        self._arrived.clear()
        try:
            link.drain_events(timeout=POLL_S)
            while len(self._arrived) < AT_ONCE:
                link.drain_events(timeout=0.001)
        except TimeoutError:
            pass
        run_ids: dict[UUID, None] = {}
        for body in self._arrived:
            if run_id := messages.read(body.decode("utf-8", "replace")):
                run_ids[run_id] = None
            else:
                logger.error("queue message refused")
        return list(run_ids)

    def _call(self) -> Any:
        link = _connection().clone()
        consumer = kombu.Consumer(link, [_queue()], on_message=self._take, no_ack=True)
        consumer.consume()
        self._link = link
        return link

    def _take(self, message: Any) -> None:
        body = message.body
        self._arrived.append(body.encode() if isinstance(body, str) else bytes(body))

    def _hang_up(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            try:
                link.release()
            except _troubles(link):
                return

    # What django-q2 asks of a broker beside that. Messages are taken for good.

    def queue_size(self) -> int:
        return 0

    def lock_size(self) -> int:
        return 0

    def acknowledge(self, task_id: object) -> None:
        """Do nothing."""

    def fail(self, task_id: object) -> None:
        """Do nothing."""

    def ping(self) -> bool:
        return True

    def info(self) -> str:
        return f"{_connection().transport_cls}"


def _queue() -> Any:
    return kombu.Queue(QUEUE, routing_key=QUEUE, durable=False, message_ttl=MESSAGE_TTL_S)


def _connection() -> Any:
    # By itself, kombu tries for ever.
    options: dict[str, float] = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    url = settings.PROCESSING["BROKER_URL"]
    if url.startswith(("redis:", "rediss:")):
        options["socket_connect_timeout"] = CONNECT_S
        options["socket_timeout"] = 2 * POLL_S + CONNECT_S
    return kombu.Connection(url, connect_timeout=CONNECT_S, transport_options=options)


def _troubles(connection: Any) -> tuple[type[Exception], ...]:
    """Return what a broker that is gone, or gives no sense, may raise."""
    return (
        *connection.connection_errors,
        *connection.channel_errors,
        exceptions.KombuError,
        OSError,
    )


@cache
def _sender() -> Sender:
    return Sender()
