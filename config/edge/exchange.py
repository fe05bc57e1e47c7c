"""One request and its answer on the wire, and the line that the log gets about them."""

import asyncio
import contextlib
import logging
import time
from uuid import uuid4

from config.edge.body import Body
from config.edge.environ import path_of
from config.edge.errors import Disconnected, RequestTimeout, Stopping
from config.edge.limits import Limits
from config.edge.wire import (
    BODILESS,
    Answer,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    encoded,
)
from config.errors import AppError
from config.middleware import ACCEPTED
from config.problems import problem_response

# A connection that is closed over unread bytes is reset, and a reset may overtake the answer. So
# an early answer is followed by so much discarding, which is enough for what is under way.
LINGER_BYTES = 8 * 1024 * 1024
LINGER_S = 2
# What is left of a small body is read before an early answer, so that the connection can go on.
SMALL_BYTES = 64 * 1024
SMALL_S = 1
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds

logger = logging.getLogger("strongroom.access")


class Exchange:
    """What is known of one request while it is answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self.scope = scope
        self.limits = limits
        self.method: str = scope["method"]
        self.request_id = _request_id(scope)
        self.body = Body(scope, receive, limits)
        self.length: int | None = None  # of the body, where it is declared
        self.status = 0  # until the answer begins
        self.given: list[Header] = []  # what Django's answer says in its headers
        self.bytes_out = 0
        self._send = send
        self._began = time.monotonic()

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on, and count it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def begin(self, status: int, headers: list[Header], *, without: frozenset[str]) -> None:
        """Send status and headers, except those named in `without`.

        Over a body that was not read to its end they say that the connection closes.
        """
        names = {name.lower() for name, _ in headers}
        own = [("X-Request-ID", self.request_id), ("X-Content-Type-Options", "nosniff")]
        headers = headers + [(name, value) for name, value in own if name.lower() not in names]
        lines = encoded(headers, without=without)
        if not self.body.ended:
            lines.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": lines})

    async def piece(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the answer's body, if the client takes it within the idle time.

        Raises:
            RequestTimeout: it does not. The answer cannot be completed any more.
        """
        try:
            async with asyncio.timeout(self.limits.body_idle_s):
                await self.send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise RequestTimeout from None

    async def answer(self, answer: Answer, *, linger: bool = True) -> None:
        """Send a whole answer.

        To the server it ends only when enough of an unread body is discarded.
        """
        if linger and self.length is not None and self.length <= SMALL_BYTES:
            await self._discard(SMALL_BYTES, SMALL_S)
        bodiless = answer.status in BODILESS
        headers = answer.headers
        if not bodiless and "content-length" not in {name.lower() for name, _ in headers}:
            headers = [*headers, ("Content-Length", str(len(answer.body)))]
        without = frozenset({"content-length"}) if bodiless else frozenset()
        await self.begin(answer.status, headers, without=without)
        body = b"" if bodiless or self.method == "HEAD" else answer.body
        if linger and not self.body.ended:
            await self.piece(body, more=True)
            await self._discard(LINGER_BYTES, LINGER_S)
            body = b""
        await self.piece(body, more=False)

    async def refuse(self, error: AppError) -> None:
        """Send `error` as a problem, under the headers that middleware has given already."""
        problem = Answer.of(problem_response(error, self.request_id))
        problem.headers.append(("Cache-Control", "no-store"))
        await self.answer(problem.under(self.given), linger=not isinstance(error, Stopping))

    async def _discard(self, most_bytes: int, most_s: float) -> None:
        """Read a little of an unread body, and throw it away."""
        body = self.body
        expects = self.scope["http_version"] >= "1.1" and any(
            name.lower() == b"expect" for name, _ in self.scope["headers"]
        )
        if body.ended or (expects and not body.asked):
            return
        enough = body.received + most_bytes
        with contextlib.suppress(TimeoutError, Disconnected, RequestTimeout):
            async with asyncio.timeout(most_s):
                while not body.ended and body.received < enough:
                    await body.next()

    def log(self) -> None:
        """Write the access line. No query string: those carry search words and one-time codes."""
        path = path_of(self.scope).decode("latin-1")
        logger.log(
            logging.DEBUG if path in PROBES else logging.INFO,
            "request",
            extra={
                "method": self.method,
                "path": path,
                "status": self.status,
                "ms": round((time.monotonic() - self._began) * 1000, 1),
                "bytes_in": self.body.received,
                "bytes_out": self.bytes_out,
                "request_id": self.request_id,
            },
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == b"x-request-id":
            offered: str = value.decode("latin-1")
            if ACCEPTED.fullmatch(offered):
                return offered
    return uuid4().hex
