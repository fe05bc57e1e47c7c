"""The rest of a body, from the socket into the reader's own memory: one copy, by the kernel."""

import asyncio
from collections.abc import Callable

PAUSE_S = 0.02  # a client that brings nothing for so long will not fill the buffer soon
SHARE_S = 1.0  # nor will one that takes longer than this
EXTENSION = "strongroom.direct_body"  # of the ASGI scope: a call that returns a `DirectBody`


class DirectBody(asyncio.BufferedProtocol):
    """Has the connection until the body has ended. Reads only while a buffer is to be filled.

    Source: asyncio, "Buffered Streaming Protocols".
    """

    def __init__(
        self,
        connection: asyncio.Protocol,
        transport: asyncio.Transport,
        *,
        early: bytes,
        size: int,
        ended: Callable[[], None],
    ) -> None:
        """Take the connection over; of the `size` bytes, `early` have come already."""
        self.left = size
        self._connection = connection
        self._transport = transport
        self._early = memoryview(early)
        self._ended = ended
        self._buffer = memoryview(b"")
        self._filled = 0
        self._filling: asyncio.Future[int] | None = None
        self.gone = False
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        self._seen = 0  # bytes at the last look
        self._began = self._deadline = 0.0
        transport.pause_reading()
        transport.set_protocol(self)

    def fill(self, buffer: memoryview, *, patience_s: float) -> "asyncio.Future[int]":
        """Begin to fill `buffer`; the result is how many bytes came.

        They are fewer than it holds at the end of the body, after a pause, or where the client is
        gone; none if nothing comes for `patience_s` seconds.
        """
        self._buffer, self._filled, self._seen = buffer[: self.left], 0, 0
        self._began = self._loop.time()
        self._deadline = self._began + patience_s
        self._filling = self._loop.create_future()
        if self._early:
            self._take_early()
        filling = self._filling
        if self._is_full() or self.gone:
            self.stop()
            return filling
        self._transport.resume_reading()
        if self._look is None:
            self._look_in(min(PAUSE_S, patience_s))
        return filling

    @property
    def is_awaited(self) -> bool:
        """Tell whether a buffer is to be filled in which nothing is yet."""
        return self._filling is not None and not self._filled

    def stop(self) -> None:
        """End the filling with what has come so far."""
        if self._filling is None:
            return
        if not self.gone:
            self._transport.pause_reading()
        filling, self._filling = self._filling, None
        self._buffer = memoryview(b"")
        if not filling.done():
            filling.set_result(self._filled)
        if not self.left:
            self._give_back()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self.left -= nbytes
        if self._is_full():
            self.stop()

    def eof_received(self) -> None:
        """Nothing: the connection closes, and says so next."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self.stop()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def _look_in(self, pause_s: float) -> None:
        self._look = self._loop.call_later(pause_s, self._look_after, pause_s)

    def _look_after(self, pause_s: float) -> None:
        """Look whether the client still brings something: often while it does, else rarely."""
        self._look = None
        if self._filling is None:
            return
        now = self._loop.time()
        paused = self._filled == self._seen and (self._filled or now >= self._deadline)
        if paused or (self._filled and now - self._began > SHARE_S):
            self.stop()
            return
        self._seen = self._filled
        quiet_s = min(2 * pause_s, SHARE_S, self._deadline - now)
        self._look_in(PAUSE_S if self._filled else quiet_s)

    def _take_early(self) -> None:
        count = min(len(self._early), len(self._buffer))
        self._buffer[:count] = self._early[:count]
        self._early = self._early[count:]
        self._filled = count
        self.left -= count

    def _is_full(self) -> bool:
        return self._filled == len(self._buffer)

    def _give_back(self) -> None:
        if not self.gone:
            self._transport.set_protocol(self._connection)
        self._ended()
