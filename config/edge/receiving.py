"""From the wire into a receiver: in order, one write at a time, the next piece on its way."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from django.http import HttpResponse

from config.edge.body import Body
from config.edge.exchange import Exchange
from config.edge.handover import Receiver
from config.edge.pools import Pools, submit

COLLECT_BYTES = 256 * 1024  # a segment of a blob, and small against a change of thread
COLLECT_S = 0.02

logger = logging.getLogger(__name__)


class Delivery:
    """The calls of one receiver: never two at once, and one finish or one abort at the end."""

    def __init__(self, receiver: Receiver, pools: Pools, request_id: str) -> None:
        self._receiver = receiver
        self._pools = pools
        self._request_id = request_id
        self._running: asyncio.Future[None] | asyncio.Future[HttpResponse] | None = None
        self._finishing: asyncio.Future[HttpResponse] | None = None

    def write(self, data: bytes) -> "asyncio.Future[None]":
        """Begin to write `data`."""
        writing = submit(self._pools.bytes, self._request_id, self._receiver.write, data)
        self._running = writing
        return writing

    async def finish(self) -> HttpResponse:
        """Return the receiver's answer."""
        finishing = submit(self._pools.pages, self._request_id, self._receiver.finish)
        self._running = self._finishing = finishing
        return await asyncio.shield(finishing)

    async def settle(self) -> None:
        """Wait for what runs; then abort, unless the receiver has finished."""
        if self._running is not None:
            await asyncio.wait({self._running})
            failed = self._running.exception() is not None
            if self._running is self._finishing and not failed:
                return
        try:
            await submit(self._pools.pages, self._request_id, self._receiver.abort)
        except Exception:
            logger.exception("a receiver failed to abort", extra={"request_id": self._request_id})


async def pump(body: Body, delivery: Delivery) -> None:
    """Write all of `body`, one piece at a time while the next one arrives.

    A fast client's pieces come as large as the server's buffer and are written as they are; small
    ones are collected until there is enough of them to be worth a change of thread, or nothing
    more comes. What arrives meanwhile stays with the server; when its buffer is full, the client
    has to wait.
    """
    writing: asyncio.Future[None] | None = None
    collected: list[bytes] = []
    while not body.ended or collected or writing is not None:
        data = b""
        if not body.ended and sum(map(len, collected)) < COLLECT_BYTES:
            pause_s = COLLECT_S if collected and writing is None else None
            data = await body.next(unless=writing, within_s=pause_s)
            if data:
                collected.append(data)
        elif writing is not None:
            await asyncio.wait({writing})
        if writing is not None and writing.done():
            writing.result()
            writing = None
        enough = body.ended or not data or sum(map(len, collected)) >= COLLECT_BYTES
        if writing is None and collected and enough:
            writing = delivery.write(b"".join(collected))
            collected = []


async def receive(
    exchange: Exchange,
    receiver: Receiver,
    pools: Pools,
    interruptible: Callable[[], AbstractContextManager[None]],
) -> HttpResponse:
    """Return what `receiver` answers to the body of `exchange`.

    A stop of the server interrupts the body, never the finish: what has arrived completely is
    worth the wait.
    """
    delivery = Delivery(receiver, pools, exchange.request_id)
    try:
        with interruptible():
            await pump(exchange.body, delivery)
        return await delivery.finish()
    except BaseException:
        await delivery.settle()
        raise
