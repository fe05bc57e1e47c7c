"""What a connection allows before, between and after requests, and bodies read past the parser."""

import asyncio
import json
import random
from collections.abc import Coroutine
from hashlib import sha256
from typing import Any

import pytest

from config.edge import connection, direct
from config.edge.body import Body
from config.edge.connection import DIRECT_BYTES, MAX_HEAD_BYTES, MAX_HEADERS
from config.edge.errors import Disconnected, RequestTimeout
from config.edge.limits import Limits
from config.edge.receiving import PIECE_BYTES
from tests.config.edge.site import Recorder
from tests.config.edge.wire import Wire

GET = b"GET /page HTTP/1.1\r\nHost: testserver\r\n"
LARGE = bytes(range(256)) * (DIRECT_BYTES // 256) + b"the rest"


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


@pytest.fixture
def site() -> Site:
    return Site()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def put(size: int, *headers: bytes) -> bytes:
    lines = [b"PUT /file HTTP/1.1", b"Host: testserver", b"Content-Length: %d" % size, *headers]
    return b"\r\n".join([*lines, b"", b""])


async def send_all(wire: Wire, data: bytes, at_once: int = 100_000) -> None:
    """Send as a client does that waits while nobody reads."""
    async with asyncio.timeout(5):
        while data:
            data = data[wire.offer(data[:at_once]) :]
            await asyncio.sleep(0)


def code_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


# --- Heads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET /pa", GET])
def test_a_head_that_does_not_come_in_time_closes_the_connection(site, monkeypatch, begun) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(begun)
        await asyncio.sleep(0.02)
        assert not wire.closed
        await wire.until_closed()

    run(scenario())
    assert not site.scopes


def test_the_head_of_a_later_request_has_its_time_from_its_first_byte(site, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(GET + b"\r\n")
        await wire.until_written(b"hello")
        await asyncio.sleep(0.15)  # an idle connection has more
        assert not wire.closed
        wire.send(GET)
        await wire.until_closed()

    run(scenario())
    assert len(site.scopes) == 1


def test_a_request_in_progress_is_not_held_to_the_time_of_a_head(site, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(3) + b"a")
        await asyncio.sleep(0.1)
        wire.send(b"bc")
        await wire.until_written(b"hello")

    run(scenario())
    assert site.bodies == [b"abc"]


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-1: y\r\n" * (MAX_HEADERS + 1),
        GET + b"X-1: " + b"y" * MAX_HEAD_BYTES,
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n",
    ],
    ids=["many", "long", "long target"],
)
def test_a_head_beyond_the_bounds_is_refused_before_its_end(site, head) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        for start in range(0, len(head), 1000):
            if not wire.closed:
                wire.send(head[start : start + 1000])
        assert code_of(wire.written) == (431, "headers_too_large")
        assert wire.closed

    run(scenario())
    assert not site.scopes


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["no request", "blank", "folded", "two lengths", "signed", "two framings", "tunnel"],
)
def test_a_head_that_others_may_read_differently_is_refused(site, head) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(head)
        assert code_of(wire.written) == (400, "bad_request")
        assert wire.closed

    run(scenario())
    assert not site.scopes


def test_what_comes_behind_the_body_is_no_header(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(b"PUT /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        await wire.until_written(b"hello")

    run(scenario())
    assert site.bodies == [b"abc"]
    assert b"authorization" not in dict(site.scopes[0]["headers"])


def test_head_and_beginning_of_an_answer_are_one_write(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        for method in (b"GET", b"HEAD"):
            wire.send(method + b" /page HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.01)
        assert len(wire.writes) == 2
        assert wire.writes[0].endswith(b"\r\n\r\nhello")
        assert wire.writes[1].endswith(b"\r\n\r\n")

    run(scenario())


# --- Between requests ----------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [GET + b"\r\n", GET, b"nonsense\r\n\r\n", put(3) + b"abc"])
def test_what_comes_before_the_answer_to_a_request_is_not_read(site, behind) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(GET + b"\r\n" + behind)
        await wire.until_closed()
        assert wire.written.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in wire.written
        assert wire.written.count(b"HTTP/1.1") == 1

    run(scenario())
    assert len(site.scopes) == 1


def test_blank_lines_do_not_keep_an_idle_connection(site, monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(GET + b"\r\n")
        await wire.until_written(b"hello")
        wire.send(b"\r\n")
        await wire.until_closed()

    run(scenario())


@pytest.mark.parametrize("endless", [b"0\r\nX: " + b"y" * 1000, b"5;" + b"x" * 1000])
def test_what_is_endless_between_the_bytes_of_a_body_is_cut(site, endless) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(b"PUT /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"3\r\nabc\r\n" + endless)
        sent = 0
        while not wire.closed:
            wire.send(b"y" * 1000)
            sent += 1000
            assert sent <= MAX_HEAD_BYTES + 1000
        assert code_of(wire.written) == (400, "body_broken")

    run(scenario())


@pytest.mark.parametrize("framing", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
def test_a_body_is_not_lost_to_another_protocol(site, framing) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        head = b"PUT /file HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
        wire.send(head + framing + b"\r\n\r\nabc")
        assert code_of(wire.written) == (400, "upgrade_unsupported")
        assert wire.closed

    run(scenario())
    assert not site.scopes


def test_one_connection_too_many_is_told_when_to_come_again(site) -> None:
    async def scenario() -> None:
        wire = Wire(site, limit_concurrency=1)
        wire.send(GET + b"\r\n")
        await wire.until_closed()
        assert code_of(wire.written) == (503, "overloaded")
        assert b"retry-after: " in wire.written

    run(scenario())
    assert not site.scopes


def test_a_last_answer_that_nobody_takes_is_given_up(site) -> None:
    async def scenario() -> None:
        wire = Wire(site, timeout_keep_alive=0.1)
        wire.send(GET + b"Connection: close\r\n\r\n")
        await wire.until_closed()
        assert not wire.aborted
        await asyncio.sleep(0.2)
        assert wire.aborted

    run(scenario())


def test_a_broken_body_is_answered_once_and_by_the_connection(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(b"PUT /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.01)
        wire.send(b"zz\r\n")
        await asyncio.sleep(0.01)
        assert code_of(wire.written) == (400, "body_broken")
        assert wire.written.count(b"HTTP/1.1") == 1
        assert wire.closed

    run(scenario())
    assert [type(error) for error in site.failed] == [Disconnected]


def test_a_connection_ends_after_a_request_for_another_protocol(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")
        await wire.until_closed()
        assert b"hello" in wire.written

    run(scenario())


def test_an_answer_before_the_end_of_the_body_ends_the_connection() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def scenario() -> None:
        wire = Wire(refuse)
        wire.send(put(100) + b"abc")
        await wire.until_closed()
        assert b" 403 " in wire.written
        assert not wire.aborted  # the answer is still to be read

    run(scenario())


def test_an_answer_that_was_given_up_is_cut_at_once() -> None:
    async def give_up(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def scenario() -> None:
        wire = Wire(give_up)
        wire.send(GET + b"\r\n")
        await wire.until_closed()
        assert wire.aborted
        assert not wire.written.endswith(b"0\r\n\r\n")

    run(scenario())


# --- Large bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [0, 1, 200_000])
def test_a_large_body_is_read_past_the_parser_and_the_connection_goes_on(site, early) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(len(LARGE)) + LARGE[:early])
        await asyncio.sleep(0.01)
        assert wire.get_protocol() is not wire.connection
        await send_all(wire, LARGE[early:])
        await wire.until_written(b"hello")
        assert wire.get_protocol() is wire.connection
        wire.send(GET + b"\r\n")
        await asyncio.sleep(0.01)
        assert wire.written.count(b"hello") == 2
        assert not wire.closed

    run(scenario())
    assert site.bodies == [LARGE, b""]


def test_no_byte_behind_a_large_body_is_taken_for_it(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(len(LARGE)))
        await asyncio.sleep(0.01)
        await send_all(wire, LARGE + GET + b"\r\n", at_once=2 * len(LARGE))
        await wire.until_written(b"hello", times=2)

    run(scenario())
    assert site.bodies == [LARGE, b""]


def test_a_small_body_and_one_of_unknown_length_come_through_the_parser(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(DIRECT_BYTES - 1))
        await asyncio.sleep(0.01)
        await send_all(wire, bytes(DIRECT_BYTES - 1))
        await wire.until_written(b"hello")
        wire.send(b"PUT /file HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await send_all(wire, b"%x\r\n" % len(LARGE) + LARGE + b"\r\n0\r\n\r\n")

    run(scenario())
    assert site.bodies[0] == bytes(DIRECT_BYTES - 1)
    assert not any("extensions" in scope for scope in site.scopes)


def test_a_client_that_asks_first_is_told_to_go_on(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(len(LARGE), b"Expect: 100-continue"))
        await wire.until_written(b"HTTP/1.1 100 Continue\r\n\r\n")
        await send_all(wire, LARGE)
        await wire.until_written(b"hello")
        assert wire.written.count(b"100 Continue") == 1

    run(scenario())


def test_a_client_that_leaves_in_a_large_body_is_gone(site) -> None:
    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(len(LARGE)) + b"abc")
        await asyncio.sleep(0.05)
        wire.leave()
        await asyncio.sleep(0.05)

    run(scenario())
    assert [type(error) for error in site.failed] == [Disconnected]


def test_a_client_that_left_before_its_large_body_was_asked_for_is_gone_at_once() -> None:
    failed: list[Exception] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        try:
            await Body(scope, receive, Limits()).into(memoryview(bytearray(1000)))
        except Disconnected as error:
            failed.append(error)

    async def scenario() -> None:
        wire = Wire(slow)
        wire.send(put(len(LARGE)))
        await asyncio.sleep(0.01)
        wire.leave()
        await asyncio.sleep(0.1)

    run(scenario())
    assert len(failed) == 1


def test_what_has_come_is_given_when_the_client_pauses(site, monkeypatch) -> None:
    monkeypatch.setattr(direct, "PAUSE_S", 0.02)
    found: list[bytes] = []

    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            body, buffer = Body(scope, receive, Limits()), memoryview(bytearray(1000))
            found.append(bytes(buffer[: await body.into(buffer)]))
            found.append(bytes(buffer[: await body.into(buffer)]))

        wire = Wire(app)
        wire.send(put(len(LARGE)))
        await asyncio.sleep(0.01)
        for piece in (b"one", b"two"):
            wire.send(piece)
            await asyncio.sleep(0.2)

    run(scenario())
    assert found == [b"one", b"two"]


@pytest.mark.parametrize(
    ("limits", "every_s"),
    [(Limits(body_idle_s=0.1), 1), (Limits(body_grace_s=0.2, min_bytes_per_s=1000), 0.01)],
    ids=["nothing", "a trickle"],
)
def test_a_large_body_that_comes_too_slowly_is_cut(site, limits, every_s) -> None:
    site.limits = limits

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(put(len(LARGE)))
        async with asyncio.timeout(5):
            while not site.failed:
                await asyncio.sleep(every_s)
                if not wire.paused and not wire.closed:
                    wire.send(b"x")

    run(scenario())
    assert [type(error) for error in site.failed] == [RequestTimeout]


# --- Through the edge ----------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [1, 3], ids=["alone", "in a crowd"])
@pytest.mark.parametrize("write_s", [0, 0.003], ids=["fast disk", "slow disk"])
def test_pieces_are_used_again_only_when_their_receiver_is_done(
    make_edge, streams, write_s
) -> None:
    edge = make_edge(byte_threads=2)
    content = random.Random(7).randbytes(12 * PIECE_BYTES + 12_345)
    head = b"PUT /hold?write_s=%g HTTP/1.1\r\nHost: testserver\r\nContent-Length: %d\r\n\r\n"

    async def upload() -> bytes:
        wire = Wire(edge)
        wire.send(head % (write_s, len(content)))
        await send_all(wire, content, at_once=300_000)
        await wire.until_written(b"sha256")
        return wire.written

    async def scenario() -> list[bytes]:
        return await asyncio.gather(*(upload() for _ in range(streams)))

    answers = asyncio.run(scenario())
    assert [sha256(content).hexdigest().encode() in answer for answer in answers] == [
        True
    ] * streams
    assert Recorder.journal == ["finish"] * streams
