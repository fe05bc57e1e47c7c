"""HTTP/1.1 on one connection: uvicorn's, with the bounds that keep bad clients cheap.

What is refused here reaches no application. See the decision record for what each bound is for.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from config.edge.direct import EXTENSION, DirectBody
from config.edge.errors import BodyBroken, HeadTooLarge, Overloaded, UpgradeUnsupported
from config.edge.wire import Answer, Message, Send, encoded
from config.errors import AppError
from config.problems import BadRequest, problem_response

HEAD_S = 15.0  # in which a head has to come, from its first byte or from the connection's
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
# A smaller body comes through the parser. It is more than a loop reads at a time, so that most of a
# larger one is still on the wire when the edge asks for it.
DIRECT_BYTES = 1024 * 1024


RESET = struct.pack("ii", 1, 0)  # SO_LINGER of socket(7): what is not sent is dropped


class _Refused(Exception):
    """Stops the parser: the answer has been sent, or there will be none."""


class Connection(HttpToolsProtocol):
    """A connection that has to say what it wants, in time and in few words, one thing at a time.

    A request that comes before the answer to the one before it is not read: that answer closes the
    connection, and the client asks again (RFC 9112, 9.3.2). So there is one request, and one body.
    A body of a declared length may be read past the parser: the scope offers it as `EXTENSION`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._fruitless_bytes = 0  # since something of use came out of the parser
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_left = 0  # of the length that was declared
        self._deaf = False  # what else comes is not read
        self._until_closed: _UntilClosed | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._until_closed = None  # there is no socket any more
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self.transport.pause_reading()
            return
        self._fruitless_bytes += len(data)
        super().data_received(data)
        if self._fruitless_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge() if self._in_head else BodyBroken())
        elif not self._is_busy():
            self._await_head()  # also after a blank line, which begins no message

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # --- The head ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_busy():
            self._listen_no_more()
            raise _Refused
        super().on_message_begin()
        self._in_head, self._body_left = True, 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge())
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing that decides may come after the body
        if len(self.headers) >= MAX_HEADERS:
            self._refuse(HeadTooLarge())
            raise _Refused
        super().on_header(name, value)
        if name.lower() == b"content-length":
            self._body_left = int(value)

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._fruitless_bytes = 0
        upgrade = self.parser.should_upgrade()
        if upgrade and (self._body_left or any(n == b"transfer-encoding" for n, _ in self.headers)):
            self._refuse(UpgradeUnsupported())  # the parser would lose the body
            raise _Refused
        if self._body_left >= DIRECT_BYTES:
            extensions: dict[str, Any] = {EXTENSION: self._direct_body}
            self.scope["extensions"] = extensions
        super().on_headers_complete()
        self._in_head = False
        if upgrade:
            self._listen_no_more()  # what follows may be no HTTP

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _listen_no_more(self) -> None:
        """Close behind the answer that is on its way."""
        self._deaf = True
        self.cycle.keep_alive = False

    # --- The body ------------------------------------------------------------------------------

    def on_body(self, body: bytes) -> None:
        self._fruitless_bytes = 0
        self._body_left -= len(body)
        super().on_body(body)

    def _direct_body(self) -> DirectBody:
        """Take the body out of the parser's hands; the cycle gets none of it any more."""
        cycle, early = self.cycle, bytes(self.cycle.body)
        cycle.body = bytearray()
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.flow.read_paused = True
        size = len(early) + self._body_left
        body = DirectBody(self, self.transport, early=early, size=size, ended=self._body_ended)
        body.gone = cycle.disconnected or self.transport.is_closing()
        return body

    def _body_ended(self) -> None:
        """Go on behind the body. The parser still waits for it, so there is a new one."""
        self.cycle.more_body = False
        if self.parser is not None:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    # --- The end -------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if app is not self.app:  # uvicorn's own, of too many connections
            app = _overloaded

        async def whole_or_cut(scope: Any, receive: Any, send: Any) -> None:
            self._until_closed = None
            if scope["http_version"] < "1.1":
                cycle.waiting_for_100_continue = False  # RFC 9110, 10.1.1
                cycle.keep_alive = False
                self._until_closed = _UntilClosed(cycle, send)
                send = self._until_closed.send
            try:
                await app(scope, receive, _Together(cycle, send).send)
            finally:
                if not cycle.response_complete:
                    cycle.disconnected = True
                    self._cut()

        super()._start_asgi_task(cycle, whole_or_cut)

    def on_response_complete(self) -> None:
        """Close a connection whose body was not taken: nobody will take it."""
        self._fruitless_bytes = 0
        if self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():  # when the client has taken the answer, if it does
            self._look_after(self.transport.get_write_buffer_size())

    def _look_after(self, left: int) -> None:
        """Cut a last answer of which the client takes nothing for a while; `left` is to be sent."""

        def look() -> None:
            now_left = self.transport.get_write_buffer_size()
            if now_left < left:
                self._look_after(now_left)
            else:
                self._cut()

        if left:
            self.loop.call_later(self.timeout_keep_alive, look)

    def _cut(self) -> None:
        """End an answer that is not complete: by a reset, where a mere end would look whole."""
        if self._until_closed is not None and self._until_closed.has_no_length:
            with suppress(OSError):
                connected = self.transport.get_extra_info("socket")
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()  # a close would wait for who does not read

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what the parser does not understand, which it says less clearly."""
        self._refuse(BadRequest() if self._in_head else BodyBroken())

    def _refuse(self, error: AppError) -> None:
        """Answer with `error`, if it is time for an answer, and close."""
        if self.transport.is_closing() or self._deaf:
            return
        if not (self._is_busy() and self.cycle.response_started):
            start, body = _answer(error)
            lines = [name + b": " + value + b"\r\n" for name, value in start["headers"]]
            self.transport.write(
                b"".join([STATUS_LINE[start["status"]], *lines, b"\r\n", body["body"]])
            )
        if self._is_busy():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


async def _overloaded(_scope: Any, _receive: Any, send: Send) -> None:
    for message in _answer(Overloaded()):
        await send(message)


def _answer(error: AppError) -> tuple[Message, Message]:
    """Return start and body of a last answer."""
    answer = Answer.of(problem_response(error, uuid4().hex))
    headers = encoded([*answer.headers, ("Content-Length", str(len(answer.body)))])
    headers.append((b"connection", b"close"))
    return (
        {"type": "http.response.start", "status": answer.status, "headers": headers},
        {"type": "http.response.body", "body": answer.body},
    )


class _UntilClosed:
    """Answers in HTTP/1.0, which knows no chunks: what has no length ends with the connection.

    Source: RFC 9112, 6.1 and 6.3.
    """

    def __init__(self, cycle: Any, send: Send) -> None:
        self._cycle = cycle
        self._send = send
        self.has_no_length = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self.has_no_length = b"content-length" not in names
            if self.has_no_length:
                self._cycle.chunked_encoding = False
        elif self.has_no_length:
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)


class _Together:
    """Sends the head of an answer and what comes first behind it in one write.

    For that it stands in for the transport. A client, and the network, get one piece for a small
    answer instead of two.
    """

    def __init__(self, cycle: Any, send: Send) -> None:
        self._cycle = cycle
        self._send = send
        self._transport: asyncio.Transport = cycle.transport
        self._start: Message | None = None
        self._head: bytes | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._cycle.scope["method"] != "HEAD":
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        start, self._start = self._start, None
        self._cycle.transport = self
        try:
            await self._send(start)
            await self._send(message)
        finally:
            self._cycle.transport = self._transport

    def write(self, data: bytes) -> None:
        if self._head is None:
            self._head = data
        else:
            self._transport.write(self._head + data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
