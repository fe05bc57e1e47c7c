"""Plays the transport's part against a connection, in one process and without sockets."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from config.edge.body import Body
from config.edge.connection import Connection
from config.edge.limits import Limits

App = Any
HANGS_S = 60.0  # a guard against waiting for ever, no bound
GET = b"GET /page HTTP/1.1\r\nHost: testserver\r\n"


class Wire(asyncio.Transport):
    """What the server side of a connection does to its transport, and what a client sends it."""

    def __init__(self, app: App, **options: Any) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = self.aborted = self.paused = False
        self.untaken_bytes = 0  # of what was written
        self._protocol: Any = None
        config = Config(app, ws="none", lifespan="off", log_config=None, **options)
        self.connection = Connection(config, ServerState(), {})
        self._protocol = self.connection
        self.connection.connection_made(self)

    def send(self, data: bytes) -> None:
        """Bring `data` to somebody who reads all of it."""
        assert self.offer(data) == len(data)

    def offer(self, data: bytes) -> int:
        """Bring as much of `data` as is read now, and return how much that is."""
        assert not self.closed, "it came too late"
        if self.paused:
            return 0
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return len(data)
        buffer = memoryview(self._protocol.get_buffer(-1))
        count = min(len(buffer), len(data))
        assert count, "a reader offered no room"
        buffer[:count] = data[:count]
        self._protocol.buffer_updated(count)
        return count

    def leave(self) -> None:
        self.closed = True
        self._protocol.connection_lost(None)

    async def until_written(self, what: bytes, times: int = 1) -> None:
        await self._until(lambda: self.written.count(what) >= times)

    async def until_closed(self) -> None:
        await self._until(self.is_closing)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(HANGS_S):
            while not condition():  # noqa: ASYNC110 (a transport has no event for that)
                await asyncio.sleep(0.005)

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    # --- What the server side calls ------------------------------------------------------------

    def write(self, data: Any) -> None:
        assert not self.is_closing()
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.untaken_bytes

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 8000), "peername": ("192.0.2.7", 4711)}.get(name, default)


class Site:
    """An application that answers every request, and keeps what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []
        self.failed: list[Exception] = []
        self.limits = Limits()
        self.room = 300_000  # how much of a large body is read at a time

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body = Body(scope, receive, self.limits)
        try:
            self.bodies.append(await (self._large(body) if body.is_direct else self._small(body)))
        except Exception as error:
            self.failed.append(error)
            raise
        head = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    async def _small(self, body: Body) -> bytes:
        pieces = [await body.next()]
        while not body.ended:
            pieces.append(await body.next())
        return b"".join(pieces)

    async def _large(self, body: Body) -> bytes:
        found, buffer = b"", memoryview(bytearray(self.room))
        while not body.ended:
            found += buffer[: await body.into(buffer)]
        return found


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def put(size: int, *headers: bytes) -> bytes:
    lines = [b"PUT /file HTTP/1.1", b"Host: testserver", b"Content-Length: %d" % size, *headers]
    return b"\r\n".join([*lines, b"", b""])


async def send_all(wire: Wire, data: bytes, at_once: int = 100_000) -> None:
    """Send as a client does that waits while nobody reads."""
    async with asyncio.timeout(HANGS_S):
        while data:
            data = data[wire.offer(data[:at_once]) :]
            await asyncio.sleep(0)
