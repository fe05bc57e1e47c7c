"""What a connection allows before, between and after requests."""

import asyncio
import json
from typing import Any

import pytest

from config.edge import connection
from config.edge.connection import MAX_HEAD_BYTES, MAX_HEADERS
from config.edge.errors import Disconnected
from tests.config.edge.wire import GET, Site, Wire, put, run, send_all


@pytest.fixture
def site() -> Site:
    return Site()


def code_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


# --- Heads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET /pa", GET])
def test_a_head_that_does_not_come_in_time_closes_the_connection(site, monkeypatch, begun) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.5)

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


def test_a_last_answer_is_given_up_when_nothing_more_of_it_is_taken(site) -> None:
    async def scenario() -> None:
        wire = Wire(site, timeout_keep_alive=0.5)
        wire.untaken_bytes = 100
        wire.send(GET + b"Connection: close\r\n\r\n")
        await wire.until_closed()
        for _ in range(8):
            await asyncio.sleep(0.2)
            wire.untaken_bytes -= 1
            assert not wire.aborted
        await asyncio.sleep(1.2)
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


# --- HTTP/1.0 ------------------------------------------------------------------------------------


async def pieces_of_no_length(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one ", b"two ", b""):
        await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})


@pytest.mark.parametrize(
    ("version", "kept", "body"),
    [
        (b"1.1", b"keep-alive", b"4\r\none \r\n4\r\ntwo \r\n0\r\n\r\n"),
        (b"1.0", b"close", b"one two "),
        (b"1.0", b"keep-alive", b"one two "),
        (b"0.9", b"close", b"one two "),
        (b"0.9", b"keep-alive", b"one two "),
    ],
)
def test_an_answer_of_no_length_comes_in_chunks_only_to_who_knows_them(version, kept, body) -> None:
    answers: list[Wire] = []

    async def scenario() -> None:
        wire = Wire(pieces_of_no_length)
        wire.send(b"GET /page HTTP/%s\r\nConnection: %s\r\n\r\n" % (version, kept))
        await wire.until_written(b"two ")
        await asyncio.sleep(0.02)
        answers.append(wire)
        assert wire.closed == (version != b"1.1")
        assert not wire.aborted

    run(scenario())
    head, _, found = answers[0].written.partition(b"\r\n\r\n")
    assert found == body
    assert (b"chunked" in head) == (version == b"1.1")


def test_who_speaks_the_old_version_may_leave_in_the_middle(caplog) -> None:
    async def endless(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario() -> None:
        wire = Wire(endless)
        wire.send(b"GET /page HTTP/1.0\r\n\r\n")
        await wire.until_written(b"half")
        wire.leave()
        await asyncio.sleep(0.05)

    run(scenario())
    assert not caplog.records


@pytest.mark.parametrize("length", [5, 2 * connection.DIRECT_BYTES])
def test_who_speaks_the_old_version_is_not_told_to_go_on(site, length) -> None:
    answers: list[bytes] = []

    async def scenario() -> None:
        wire = Wire(site)
        wire.send(
            b"PUT /page HTTP/1.0\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % length
        )
        await asyncio.sleep(0.02)
        await send_all(wire, bytes(length), at_once=300_000)
        await wire.until_written(b"hello")
        answers.append(wire.written)

    run(scenario())
    assert b"100 Continue" not in answers[0]
    assert [len(body) for body in site.bodies] == [length]
