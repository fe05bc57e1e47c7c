"""Plays the server's part of ASGI against an edge, in one process and without sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from config.edge.app import Edge

Headers = list[tuple[str, str]]


class Connection:
    """One request. What the edge sends is collected; what it receives is fed."""

    def __init__(
        self, edge: Edge, method: str, target: str, headers: Headers | None = None, **scope: Any
    ) -> None:
        raw_path, _, query = target.partition("?")
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("latin-1"),
            "query_string": query.encode(),
            "root_path": "",
            "client": ("192.0.2.7", "4711"),
            "server": ("127.0.0.1", "8000"),
            "headers": [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in [("Host", "testserver"), *(headers or [])]
            ],
            **scope,
        }
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.complete = False
        self.receives = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self._changed = asyncio.Event()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task = asyncio.ensure_future(edge(self.scope, self._receive, self._send))
        self.task.add_done_callback(lambda _: self._changed.set())

    async def _receive(self) -> dict[str, Any]:
        self.receives += 1
        return await self._incoming.get()

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            await self.writable.wait()
        if message["type"] == "http.response.start":
            assert self.status == 0, "an answer began twice"
            self.status = message["status"]
            self.headers = [(n.decode(), v.decode("latin-1")) for n, v in message["headers"]]
        else:
            assert self.status, "a body came before its status"
            assert not self.complete, "a body went on after its end"
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body", False)
        self._changed.set()

    def feed(self, data: bytes, *, more: bool = True) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def until(self, condition: Callable[["Connection"], bool], timeout_s: float = 30) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    @property
    def answered(self) -> bool:
        """Tell whether the client has all of the answer, whatever else the server waits for."""
        return bool(self.status) and len(self.body) == int(self.header("Content-Length") or 0)

    async def end(self, timeout_s: float = 30) -> "Connection":
        """Wait until the edge has returned."""
        async with asyncio.timeout(timeout_s):
            await self.task
        return self

    def header(self, name: str) -> str | None:
        found = [value for n, value in self.headers if n == name.lower()]
        assert len(found) <= 1, f"{name} stands {len(found)} times"
        return found[0] if found else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        assert self.header("Content-Type") == "application/problem+json"
        assert self.header("X-Request-ID") == self.json()["request_id"]
        assert self.header("X-Content-Type-Options") == "nosniff"
        assert self.header("Cache-Control") == "no-store"
        assert self.json()["status"] == self.status
        return str(self.json()["code"])


async def fetch(
    edge: Edge, method: str, target: str, headers: Headers | None = None, body: bytes = b""
) -> Connection:
    """Send a whole request and return its whole answer; the client then leaves."""
    headers = list(headers or [])
    lengths = [n for n, _ in headers if n.lower() in {"content-length", "transfer-encoding"}]
    if body and not lengths:
        headers.append(("Content-Length", str(len(body))))
    connection = Connection(edge, method, target, headers)
    connection.feed(body, more=False)
    await connection.until(lambda c: c.complete or c.task.done())
    connection.disconnect()
    return await connection.end()


@asynccontextmanager
async def lifespan(edge: Edge) -> AsyncIterator[Callable[[], Any]]:
    """Start the edge; the value shuts it down and waits for that."""
    incoming: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[str] = asyncio.Queue()

    async def send(message: Any) -> None:
        said.put_nowait(message["type"])

    task = asyncio.ensure_future(edge({"type": "lifespan"}, incoming.get, send))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert await said.get() == "lifespan.startup.complete"

    async def shut_down() -> None:
        incoming.put_nowait({"type": "lifespan.shutdown"})
        assert await said.get() == "lifespan.shutdown.complete"
        await task

    yield shut_down
    if not task.done():
        await shut_down()
