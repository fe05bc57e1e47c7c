"""Bodies that go to a receiver while they arrive."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, RequestFactory

from config.edge import receive_body
from config.edge.app import Edge
from config.edge.exchange import SMALL_BYTES
from config.edge.receiving import COLLECT_BYTES
from tests.config.edge import site
from tests.config.edge.driver import Connection, Headers, fetch
from tests.config.edge.site import Recorder
from tests.stack import until

MIB = 1024 * 1024
MakeEdge = Callable[..., Edge]
ENDLESS: Headers = [("Content-Length", str(2**40))]


async def begins(what: str) -> None:
    """Wait until a receiver is at it."""
    await asyncio.to_thread(until, lambda: what in Recorder.begun, within_s=10)


def test_a_body_arrives_in_order_and_the_receiver_answers(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/receive", [("Transfer-Encoding", "chunked")])
        for piece in (b"one ", b"two ", b"", b"three"):
            connection.feed(piece)
            await asyncio.sleep(0.01)
        connection.feed(b"", more=False)
        return await connection.end()

    page = asyncio.run(scenario())
    assert (page.status, page.json()) == (201, {"count": 13, "head": "one two three"})
    assert page.header("Location") == "/made/1"
    assert Recorder.journal == ["finish"]


def test_the_answer_carries_what_middleware_gave_to_the_placeholder(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "POST", "/receive", [("X-Request-ID", "r1")], b"abc"))
    assert page.header("X-From-Middleware") == "yes"
    assert page.header("X-Request-ID") == "r1"
    assert page.header("X-Content-Type-Options") == "nosniff"
    assert page.header("Content-Type") == "application/json"
    assert page.header("Content-Length") == str(len(page.body))
    assert page.header("Vary") == "Accept"
    assert page.header("Set-Cookie") == "made=1; Path=/"


def test_cookies_of_middleware_and_of_the_receiver_are_both_kept(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "POST", "/receive?then=cookie", body=b"abc"))
    cookies = [value.split(";")[0] for name, value in page.headers if name == "set-cookie"]
    assert sorted(cookies) == ["made=1", "seen=1"]


def test_an_empty_body_is_finished_too(edge: Edge) -> None:
    async def scenario() -> Connection:
        return await Connection(edge, "PUT", "/receive", [("Content-Length", "0")]).end()

    assert asyncio.run(scenario()).json()["count"] == 0
    assert Recorder.journal == ["finish"]


def test_the_gate_is_asked_before_the_first_byte_is_read(edge: Edge) -> None:
    async def scenario() -> Connection:
        headers = [*ENDLESS, ("Authorization", "none"), ("Expect", "100-continue")]
        return await Connection(edge, "POST", "/receive", headers).end()

    page = asyncio.run(scenario())
    assert (page.status, page.receives) == (401, 0)
    assert Recorder.journal == []


def test_a_refusal_by_the_gate_discards_only_a_little(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/receive", [*ENDLESS, ("Authorization", "none")])
        for _ in range(200):
            connection.feed(bytes(MIB))
        await connection.until(lambda c: c.complete)
        return await connection.end()

    page = asyncio.run(scenario())
    assert page.status == 401
    assert 8 <= page.receives <= 9


@pytest.mark.parametrize(
    ("length", "sent", "closes"),
    [(3, b"abc", False), (3, b"", True), (SMALL_BYTES + 1, b"abc", True)],
    ids=["small", "small and late", "large"],
)
def test_an_early_answer_says_whether_the_connection_goes_on(
    edge: Edge, length: int, sent: bytes, closes: bool
) -> None:
    async def scenario() -> Connection:
        headers = [("Content-Length", str(length)), ("Authorization", "none")]
        connection = Connection(edge, "POST", "/receive", headers)
        if sent:
            connection.feed(sent, more=len(sent) < length)
        return await connection.end()

    page = asyncio.run(scenario())
    assert page.status == 401
    assert page.header("Connection") == ("close" if closes else None)


def test_lingering_after_an_answer_ends_by_itself(edge: Edge) -> None:
    async def scenario() -> float:
        began = time.monotonic()
        await Connection(edge, "POST", "/receive", [*ENDLESS, ("Authorization", "none")]).end()
        return time.monotonic() - began

    assert 1.5 < asyncio.run(scenario()) < 3


def test_only_the_listed_methods_leave_the_body_on_the_wire(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "PATCH", "/receive", body=b"abc"))
    assert page.body == b"3"


def test_small_pieces_are_collected_before_a_thread_writes_them(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "PUT", "/receive?write_s=0.01", ENDLESS)
        for _ in range(128):
            connection.feed(bytes(64 * 1024))
        connection.feed(b"", more=False)
        return await connection.end()

    page = asyncio.run(scenario())
    assert page.json()["count"] == 8 * MIB
    assert len(Recorder.sizes) <= 8 * MIB / COLLECT_BYTES + 1
    assert max(Recorder.sizes) <= COLLECT_BYTES + 64 * 1024
    assert all(name.startswith("edge-bytes") for name in Recorder.threads)


def test_a_slow_receiver_holds_the_client_back(edge: Edge) -> None:
    async def scenario() -> int:
        connection = Connection(edge, "PUT", "/receive?write_s=0.3", ENDLESS)
        for _ in range(6):
            connection.feed(bytes(256 * 1024))
        connection.disconnect()
        await asyncio.sleep(0.2)
        receives = connection.receives
        await connection.end()
        return receives

    # One piece is being written, one waits for its turn, one has come after that.
    assert asyncio.run(scenario()) == 3


def test_in_a_crowd_a_stream_holds_one_piece_only(make_edge: MakeEdge) -> None:
    edge = make_edge(byte_threads=1)

    async def scenario() -> int:
        crowd = [Connection(edge, "PUT", "/receive?write_s=0.3", ENDLESS) for _ in range(2)]
        await asyncio.sleep(0.1)
        for connection in crowd:
            for _ in range(2):
                connection.feed(bytes(256 * 1024))
            connection.disconnect()
        await asyncio.sleep(0.2)
        receives = sum(connection.receives for connection in crowd)
        await asyncio.gather(*(connection.end() for connection in crowd))
        return receives

    assert asyncio.run(scenario()) == 2


def test_a_slow_receiver_is_not_held_against_the_client(make_edge: MakeEdge) -> None:
    edge = make_edge(body_idle_s=0.1, body_grace_s=0.1)

    async def scenario() -> Connection:
        connection = Connection(edge, "PUT", "/receive?write_s=0.3&finish_s=0.3", ENDLESS)
        for _ in range(3):
            connection.feed(bytes(MIB))
        connection.feed(b"", more=False)
        return await connection.end()

    assert asyncio.run(scenario()).status == 201


@pytest.mark.parametrize(
    ("fail", "status", "code", "journal"),
    [
        ("write", 415, "media_type_denied", ["abort"]),
        ("finish", 415, "media_type_denied", ["abort"]),
        ("write-crash", 500, "internal_error", ["abort"]),
        ("finish-crash", 500, "internal_error", ["abort"]),
    ],
)
def test_a_failing_receiver_is_aborted_once_and_answered(
    edge: Edge, fail: str, status: int, code: str, journal: list[str]
) -> None:
    page = asyncio.run(fetch(edge, "POST", f"/receive?fail={fail}", body=b"abc"))
    assert (page.status, page.code) == (status, code)
    assert page.header("X-From-Middleware") == "yes"
    assert Recorder.journal == journal


def test_a_receiver_that_fails_to_abort_does_not_hide_the_answer(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        connection = Connection(edge, "POST", "/receive?fail=abort-crash", ENDLESS)
        connection.feed(b"abc")
        connection.disconnect()
        await connection.end()

    asyncio.run(scenario())
    assert Recorder.journal == ["abort"]
    assert "a receiver failed to abort" in caplog.messages


def test_a_body_is_refused_while_it_still_arrives(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/receive?fail=write", ENDLESS)
        connection.feed(b"MZ")
        await connection.until(lambda c: c.answered, timeout_s=10)
        connection.disconnect()
        return await connection.end()

    page = asyncio.run(scenario())
    assert (page.status, page.code) == (415, "media_type_denied")
    assert Recorder.journal == ["abort"]


@pytest.mark.parametrize("sent", [b"", b"abc"])
def test_a_body_that_breaks_off_aborts_the_receiver_and_is_told_to_whoever_is_still_there(
    edge: Edge, sent: bytes
) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/receive", ENDLESS)
        if sent:
            connection.feed(sent)
        connection.disconnect()
        return await connection.end()

    page = asyncio.run(scenario())
    assert (page.status, page.code) == (400, "body_broken")
    assert Recorder.journal == ["abort"]


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (("Content-Encoding", "gzip"), 415, "content_encoding_unsupported"),
        (("Content-Encoding", "identity, br"), 415, "content_encoding_unsupported"),
        (("Content-Range", "bytes 0-2/6"), 400, "content_range_unsupported"),
    ],
)
def test_a_body_that_is_not_the_thing_itself_is_not_received(
    edge: Edge, header: tuple[str, str], status: int, code: str
) -> None:
    page = asyncio.run(fetch(edge, "POST", "/receive", [header], b"abc"))
    assert (page.status, page.json()["code"]) == (status, code)
    assert Recorder.journal == ["abort"]


def test_a_body_that_says_that_it_is_not_coded_is_received(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "POST", "/receive", [("Content-Encoding", "Identity")], b"abc"))
    assert page.status == 201


def test_an_abort_waits_for_the_write_that_runs(edge: Edge) -> None:
    async def scenario() -> int:
        connection = Connection(edge, "POST", "/receive?write_s=0.3", ENDLESS)
        connection.feed(b"abc")
        await begins("write")
        connection.disconnect()
        await asyncio.sleep(0.05)
        early = len(Recorder.journal)
        await connection.end()
        return early

    assert asyncio.run(scenario()) == 0
    assert Recorder.journal == ["abort"]


def test_a_cancelled_request_aborts_its_receiver(edge: Edge) -> None:
    async def scenario() -> None:
        connection = Connection(edge, "POST", "/receive", ENDLESS)
        connection.feed(b"abc")
        await begins("write")
        connection.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connection.task

    asyncio.run(scenario())
    assert Recorder.journal == ["abort"]


def test_a_request_cancelled_while_it_is_finished_is_not_aborted(edge: Edge) -> None:
    async def scenario() -> None:
        connection = Connection(edge, "POST", "/receive?finish_s=0.3", ENDLESS)
        connection.feed(b"abc", more=False)
        await begins("finish")
        connection.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connection.task

    asyncio.run(scenario())
    assert Recorder.journal == ["finish"]


@pytest.mark.parametrize(("then", "status"), [("replace", 418), ("crash", 500)])
def test_a_receiver_whose_placeholder_was_replaced_is_aborted(
    edge: Edge, then: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    page = asyncio.run(fetch(edge, "POST", f"/receive?then={then}", body=b"abc"))
    assert page.status == status
    assert Recorder.journal == ["abort"]


def test_a_csrf_check_takes_the_header_and_leaves_the_body_unread(edge: Edge) -> None:
    token = "a" * 32
    form = ("Content-Type", "multipart/form-data; boundary=b")
    headers = [form, ("Cookie", f"csrftoken={token}")]
    given = [*headers, ("X-CSRFToken", token)]

    async def scenario() -> tuple[Connection, Connection]:
        accepted = await fetch(edge, "POST", "/guarded", given, b"--b--")
        return accepted, await fetch(edge, "POST", "/guarded", headers, b"--b--")

    accepted, refused = asyncio.run(scenario())
    assert (accepted.status, accepted.json()["count"]) == (201, 5)
    assert refused.status == 403


def test_a_view_that_reads_the_body_it_receives_fails_and_never_sees_it_empty(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    page = asyncio.run(fetch(edge, "POST", "/misled", body=b"abc"))
    assert page.status >= 400
    assert b"read" not in page.body


# Without the edge: Django's test client and plain WSGI servers.


def test_without_the_edge_the_same_view_receives_the_same_body(client: Client) -> None:
    data = bytes(range(256)) * 8192
    response = client.put("/receive", data, content_type="application/octet-stream")
    assert (response.status_code, response.json()["count"]) == (201, 2 * MIB)
    assert Recorder.sizes == [MIB, MIB]
    assert Recorder.journal == ["finish"]


@pytest.mark.parametrize("fail", ["write", "finish"])
def test_without_the_edge_a_refusal_is_the_same_problem(client: Client, fail: str) -> None:
    response = client.put(f"/receive?fail={fail}", b"abc", content_type="a/b")
    assert (response.status_code, response.json()["code"]) == (415, "media_type_denied")
    assert response.json()["request_id"] == response["X-Request-ID"]
    assert Recorder.journal == ["abort"]


def test_without_the_edge_a_crash_aborts_and_stays_a_crash() -> None:
    request = RequestFactory().put("/receive", b"abc", content_type="a/b")
    with pytest.raises(RuntimeError, match="crashed"):
        receive_body(request, Recorder("write-crash"))
    assert Recorder.journal == ["abort"]


def test_the_journal_knows_a_second_abort(edge: Edge) -> None:
    """The other tests lean on the journal: it must show a call too many."""
    recorder: Any = site.Recorder()
    recorder.abort()
    recorder.abort()
    assert Recorder.journal == ["abort", "abort"]
