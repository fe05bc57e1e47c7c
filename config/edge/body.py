"""The body of one request, as it arrives: counted, timed, never more than one piece ahead."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from config.edge.direct import EXTENSION, DirectBody
from config.edge.errors import Disconnected, Overloaded, PayloadTooLarge, RequestTimeout
from config.edge.limits import Limits
from config.edge.wire import Message, Receive, Scope

DISCARD_BYTES = 256 * 1024


class Pace:
    """Tells whether a client is too slow. Counts only time in which we wait for it, in seconds.

    The rate is taken over windows of one grace period, not over the whole body: a fast beginning
    buys no right to hold a connection for hours.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since = 0.0
        self._waited_s = 0.0
        self._bytes = 0

    def begin(self, now: float) -> None:
        """Note that we wait from `now` on."""
        self._since = now

    def arrived(self, count: int, now: float) -> None:
        """Note that the wait is over and brought `count` bytes."""
        self._waited_s += now - self._since
        self._bytes += count
        if self._waited_s >= self._limits.body_grace_s and self._is_enough():
            self._waited_s, self._bytes = 0.0, 0

    def patience_s(self, now: float) -> float:
        """Return how much longer to wait; nothing is left for who is too slow."""
        idle = self._limits.body_idle_s - (now - self._since)
        if self._is_enough():
            return idle
        window = self._limits.body_grace_s - self._waited_s - (now - self._since)
        return min(idle, window)

    def _is_enough(self) -> bool:
        """Tell whether this window has brought what it must."""
        return self._bytes >= self._limits.min_bytes_per_s * self._limits.body_grace_s


class Budget:
    """Bytes that all bodies in memory may take together."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Take `count` bytes.

        Raises:
            Overloaded: there are not so many left.
        """
        if count > self._left:
            raise Overloaded
        self._left -= count

    def give_back(self, count: int) -> None:
        """Give back what was taken."""
        self._left += count


class Body:
    """The request body of one exchange. One reader at a time."""

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self.received = 0
        self.ended = False
        self.held = 0  # bytes taken from a budget
        self.asked = False  # a client that awaits "100 Continue" got it
        self._receive = receive
        self._pace = Pace(limits)
        self._pending: asyncio.Future[Message] | None = None
        self._offered: Callable[[], DirectBody] | None = scope.get("extensions", {}).get(EXTENSION)
        self._direct: DirectBody | None = None
        self._interrupted = False

    @property
    def is_direct(self) -> bool:
        """Tell whether it can be read `into` memory of the reader's."""
        return self._offered is not None

    async def into(self, buffer: memoryview) -> int:
        """Put what arrives next into `buffer`, and return how many bytes that are.

        They are fewer than it holds at the end and after a pause of the client; none only after
        `interrupt`. Only for a body that `is_direct`, and that nothing else has read.

        Raises:
            RequestTimeout: the client is too slow.
            Disconnected: the client is gone.
        """
        direct = self._taken_over()
        now = time.monotonic()
        self._pace.begin(now)
        patience_s = self._pace.patience_s(now)
        if patience_s <= 0:
            raise RequestTimeout
        count = await direct.fill(buffer, patience_s=patience_s)
        self.received += count
        self._pace.arrived(count, time.monotonic())
        self.ended = not direct.left
        if not count and not self._interrupted:
            raise Disconnected if direct.gone else RequestTimeout
        return count

    @property
    def is_awaited(self) -> bool:
        """Tell whether nothing has come since `into` was called."""
        return self._direct is not None and self._direct.is_awaited

    def interrupt(self) -> None:
        """Have `into` return now with what it has."""
        self._interrupted = True
        if self._direct is not None:
            self._direct.stop()

    async def next(
        self, *, unless: "asyncio.Future[None] | None" = None, within_s: float | None = None
    ) -> bytes:
        """Return what arrives next; nothing at the end.

        Nothing, too, if `unless` is done before, or after `within_s` seconds: ask again.

        Raises:
            RequestTimeout: the client is too slow.
            Disconnected: the client is gone.
        """
        if self._direct is not None:
            discarded = memoryview(bytearray(DISCARD_BYTES))
            self._interrupted = False
            return bytes(discarded[: await self.into(discarded)])
        pending = self._waiting()
        awaited: set[asyncio.Future[Any]] = {pending} if unless is None else {pending, unless}
        patience_s = max(0.0, self._pace.patience_s(time.monotonic()))
        brief = within_s is not None and within_s < patience_s
        await asyncio.wait(
            awaited,
            timeout=within_s if brief else patience_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if pending.done():
            return self._arrived(pending.result())
        if brief or (unless is not None and unless.done()):
            return b""
        raise RequestTimeout

    async def whole(self, limit: int, budget: Budget) -> bytes:
        """Return all of the body, and hold its size of the budget.

        Raises:
            PayloadTooLarge: it has more than `limit` bytes.
            Overloaded: all bodies together have more than the budget.
        """
        pieces = []
        while not self.ended:
            data = await self.next()
            if self.held + len(data) > limit:
                raise PayloadTooLarge
            budget.take(len(data))
            self.held += len(data)
            pieces.append(data)
        return b"".join(pieces)

    async def gone(self) -> None:
        """Return when the client is gone; what else arrives is discarded."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def cancel(self) -> None:
        """Wait for nothing more."""
        if self._pending is not None:
            self._pending.cancel()

    def _taken_over(self) -> DirectBody:
        if self._direct is None:
            assert self._offered is not None  # noqa: S101 (asked by `is_direct`)
            self._direct = self._offered()
            self.asked = True
        return self._direct

    def _waiting(self) -> asyncio.Future[Message]:
        if self._pending is None:
            self.asked = True
            self._pace.begin(time.monotonic())
            self._pending = asyncio.ensure_future(self._receive())
        return self._pending

    def _arrived(self, message: Message) -> bytes:
        self._pending = None
        if message["type"] == "http.disconnect":
            raise Disconnected
        data: bytes = message.get("body", b"")
        self.received += len(data)
        self._pace.arrived(len(data), time.monotonic())
        self.ended = not message.get("more_body", False)
        return data
