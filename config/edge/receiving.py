"""From the wire into a receiver: in order, one write at a time, the next piece at hand."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from queue import Empty, SimpleQueue
from threading import Lock

from django.http import HttpResponse

from config import memory
from config.edge.body import Body
from config.edge.exchange import Exchange
from config.edge.handover import Receiver
from config.edge.pools import Pools, submit, submit_turns

COLLECT_BYTES = 256 * 1024  # a segment of a blob, and small against a change of thread
COLLECT_S = 0.02
# Of a body that is read directly. Each piece costs a few changes of thread, so a large one is fast,
# and one of a quarter of this costs a lone body a third of its speed.
PIECE_BYTES = 4 * 1024 * 1024
LEAST_PIECE_BYTES = 512 * 1024  # and the first one, which shows how fast the client is
MEMORY_BYTES = 16 * 1024 * 1024  # for pieces of fast bodies, as long as that is enough for each
AHEAD = 1  # pieces of a body that wait for a thread
# Pieces that are not the reader's again: what waits, the one that is being written, and the one
# before that, which the receiver may hold on to.
HELD = AHEAD + 2
# A body that comes faster is fast; below, a change of thread for each piece costs next to nothing.
FAST_BYTES_PER_S = 32 * 1024 * 1024
QUIET_S = 0.25  # after which a body that brings nothing is slow
LINGER_S = 0.01  # for which a thread waits for the next piece; no client can hold it for longer

Piece = tuple[bytes | memoryview, bool]  # and whether the receiver has to let go of it at once

logger = logging.getLogger(__name__)


class Delivery:
    """The calls of one receiver: never two at once, and one finish or one abort at the end.

    Of a fast body, while threads are free, `AHEAD` pieces may wait for the one that is being
    written, so that the thread finds the next one at hand; and a thread that finds none stays for a
    moment, since staying costs less than being sent for again.
    """

    def __init__(self, receiver: Receiver, pools: Pools, request_id: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._receiver = receiver
        self._pools = pools
        self._request_id = request_id
        self._pieces: SimpleQueue[Piece] = SimpleQueue()
        self._given = 0  # counted by the loop
        self._done = 0  # counted by the thread
        self._moved = asyncio.Event()
        self._turn = Lock()  # over whether the thread goes on
        self._at_work = False
        self._lingers = False
        self._fast = False
        self._writing: asyncio.Future[None] | None = None
        self._finishing: asyncio.Future[HttpResponse] | None = None

    @property
    def begun(self) -> bool:
        """Tell whether anything has been written."""
        return self._writing is not None

    @property
    def crowded(self) -> bool:
        """Tell whether there are more streams than threads."""
        return self._pools.crowded

    def note_speed(self, fast: bool) -> None:
        """Note whether the client brings bytes as fast as they are taken."""
        self._pools.fast_bodies += fast - self._fast
        self._fast = fast

    @property
    def holds(self) -> bool:
        """Tell whether pieces may wait for their thread; nobody gains who is slow or in a crowd."""
        return self._fast and not self._pools.rushed

    @property
    def piece_bytes(self) -> int:
        """Return how large a piece should be now: a fast body's share of the memory for them."""
        if not self._fast:
            return LEAST_PIECE_BYTES
        pieces = HELD + 1 if self.holds else 1
        share = MEMORY_BYTES // (self._pools.fast_bodies * pieces)
        even = 1 << share.bit_length() - 1  # the less it changes, the longer memory is used again
        return max(LEAST_PIECE_BYTES, min(even, PIECE_BYTES))

    async def write(self, data: bytes | memoryview, *, holding: bool) -> None:
        """Have `data` written after what waits already.

        Without `holding`, return when it is, and when the receiver has let go of it.
        """
        await self._until_unwritten(AHEAD)
        self._lingers = holding
        self._give((data, not holding))
        if not holding:
            await self.written()

    def _give(self, piece: Piece) -> None:
        self._given += 1
        with self._turn:
            self._pieces.put(piece)
            idle, self._at_work = not self._at_work, True
        if idle:
            self._writing = submit_turns(self._pools.bytes, self._request_id, self._write_all)
            self._writing.add_done_callback(self._note)

    async def written(self) -> None:
        """Return when nothing is being written. What a write raised is raised here."""
        await self._until_unwritten(0)

    async def _until_unwritten(self, most: int) -> None:
        while self._given - self._done > most and not self.failed.done():
            self._moved.clear()
            await self._moved.wait()
        if self.failed.done() and self._writing is not None:
            await asyncio.shield(self._writing)

    def _write_all(self) -> bool:
        """Write what there is, in a crowd no more than one piece; return whether more is left."""
        while (piece := self._next()) is not None:
            data, let_go = piece
            self._receiver.write(data)
            del data, piece  # or it would stay in memory until the next one has come
            if let_go:
                self._receiver.write(b"")
            self._done += 1
            self._loop.call_soon_threadsafe(self._moved.set)
            if self._pools.crowded:  # somebody else may wait for the thread
                with self._turn:
                    self._at_work = not self._pieces.empty()
                    return self._at_work
        return False

    def _next(self) -> Piece | None:
        """Return the piece to write; None if this thread is not needed any more."""
        if self._lingers and not self._pools.crowded:
            with suppress(Empty):
                return self._pieces.get(timeout=LINGER_S)
        with self._turn:
            if self._pieces.empty():
                self._at_work = False
                return None
            return self._pieces.get()

    def _note(self, writing: "asyncio.Future[None]") -> None:
        failed = writing.cancelled() or writing.exception() is not None
        if failed and not self.failed.done():
            self.failed.set_result(None)
        self._moved.set()

    async def finish(self, rest: bytes) -> HttpResponse:
        """Write `rest`, which may be empty, and return the receiver's answer."""
        await self.written()
        self._finishing = submit(self._pools.pages, self._request_id, self._finish, rest)
        return await asyncio.shield(self._finishing)

    def _finish(self, rest: bytes) -> HttpResponse:
        if rest:
            self._receiver.write(rest)
        return self._receiver.finish()

    async def settle(self) -> None:
        """Wait for what runs; then abort, unless the receiver has finished."""
        running = {job for job in (self._writing, self._finishing) if job is not None}
        if running:
            await asyncio.wait(running)
        finishing = self._finishing
        if finishing is not None and not finishing.cancelled() and finishing.exception() is None:
            return
        try:
            await submit(self._pools.pages, self._request_id, self._receiver.abort)
        except Exception:
            logger.exception("a receiver failed to abort", extra={"request_id": self._request_id})


async def pump_directly(body: Body, delivery: Delivery) -> None:
    """Write `body`, while what follows is read into memory that is used again."""
    delivery.failed.add_done_callback(lambda _: body.interrupt())
    given: deque[memoryview] = deque()
    spare: list[memoryview] = []
    loop = asyncio.get_running_loop()

    buffer: memoryview | None = None

    def forget() -> None:
        """Leave the memory to who reads it still, and the share of it to others."""
        given.clear()
        spare.clear()
        delivery.note_speed(False)
        if buffer is not None and body.is_awaited:
            memory.empty(buffer)

    try:
        while not body.ended:
            wanted = delivery.piece_bytes
            buffer = next((piece for piece in spare if len(piece) == wanted), None)
            buffer = buffer or memoryview(memory.fresh(wanted))
            spare.clear()
            began, quiet = loop.time(), loop.call_later(QUIET_S, forget)
            count = await body.into(buffer)
            quiet.cancel()
            fast = count == len(buffer) and count > FAST_BYTES_PER_S * (loop.time() - began)
            if fast:
                delivery.note_speed(True)
            holding = fast and delivery.holds
            given.append(buffer)
            await delivery.write(buffer[:count], holding=holding)
            while len(given) > (HELD if holding else 0):
                spare.append(given.popleft())
            delivery.note_speed(fast)  # as late as that: until now it had its memory
        await delivery.written()
    finally:
        buffer = None
        forget()


async def pump(body: Body, delivery: Delivery) -> bytes:
    """Write `body`, one piece at a time while the next one arrives.

    A small one, that is no more than one piece, is returned instead: written together with the
    finish, it costs one change of thread, not two.

    A fast client's pieces come as large as the server's buffer and are written as they are; small
    ones are collected until there is enough of them to be worth a change of thread, or nothing
    more comes. What arrives meanwhile stays with the server; when its buffer is full, the client
    has to wait.
    """
    collected: list[bytes] = []
    while not body.ended:
        pause_s = COLLECT_S if collected else None
        piece = await body.next(unless=delivery.failed, within_s=pause_s)
        paused = not piece
        if piece:
            collected.append(piece)
        del piece  # or it would stay in memory until the next one has come
        if delivery.failed.done():
            await delivery.written()
        if body.ended:
            break
        enough = paused or sum(map(len, collected)) >= COLLECT_BYTES
        if collected and enough:
            await delivery.write(_joined(collected), holding=not delivery.crowded)
    rest = _joined(collected)
    if not delivery.begun:
        return rest
    if rest:
        await delivery.write(rest, holding=not delivery.crowded)
    await delivery.written()
    return b""


def _joined(pieces: list[bytes]) -> bytes:
    """Return `pieces` as one, which alone holds them from now on."""
    whole = b"".join(pieces)
    pieces.clear()
    return whole


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
        with interruptible(), pools.stream():
            rest = b""
            if exchange.body.is_direct:
                await pump_directly(exchange.body, delivery)
            else:
                rest = await pump(exchange.body, delivery)
        return await delivery.finish(rest)
    except BaseException:
        await delivery.settle()
        raise
