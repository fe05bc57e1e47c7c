"""Requests that Django answers, and what the edge refuses before it asks Django."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.edge.app import Edge
from tests.config.edge.driver import Connection, Headers, fetch

MakeEdge = Callable[..., Edge]


def test_a_page_comes_whole_with_its_length(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/hello"))
    assert (page.status, page.body, page.header("Content-Length")) == (200, b"hello", "5")


def test_a_small_body_reaches_the_view_whole(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/echo", [("Transfer-Encoding", "chunked")])
        for piece in (b"abc", b"", b"de"):
            connection.feed(piece)
        connection.feed(b"f", more=False)
        return await connection.end()

    assert asyncio.run(scenario()).json()["length"] == 6


def test_a_request_without_a_body_is_not_waited_for(edge: Edge) -> None:
    async def scenario() -> Connection:
        return await Connection(edge, "POST", "/echo", [("Content-Length", "0")]).end()

    page = asyncio.run(scenario())
    assert (page.status, page.receives) == (200, 0)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([("Host", "testserver")], 400, "bad_request"),
        ([("Content-Length", "3"), ("Content-Length", "3")], 400, "bad_request"),
        ([("Content-Length", "3"), ("Content-Length", "4")], 400, "bad_request"),
        ([("Content-Length", "-1")], 400, "bad_request"),
        ([("Content-Length", "+3")], 400, "bad_request"),
        ([("Content-Length", "3,3")], 400, "bad_request"),
        ([("Content-Length", "1e3")], 400, "bad_request"),
        ([("Content-Length", "")], 400, "bad_request"),
        ([("Transfer-Encoding", "gzip, chunked")], 400, "bad_request"),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], 400, "bad_request"),
        ([("Transfer-Encoding", "identity")], 400, "bad_request"),
        ([("Transfer-Encoding", "chunked"), ("Content-Length", "3")], 400, "bad_request"),
        ([("Authorization", "a"), ("Authorization", "b")], 400, "bad_request"),
        ([("Content-Type", "a/b"), ("Content-Type", "c/d")], 400, "bad_request"),
        ([("Content-Length", str(1024 * 1024 + 1))], 413, "payload_too_large"),
        ([("Content-Length", "9" * 18)], 413, "payload_too_large"),
    ],
)
def test_a_request_is_refused_by_its_headers(
    edge: Edge, headers: Headers, status: int, code: str
) -> None:
    page = asyncio.run(fetch(edge, "POST", "/echo", headers, b"abc"))
    assert (page.status, page.code) == (status, code)


@pytest.mark.parametrize("target", ["/hello%00", "/hel\rlo", "/%0d%0aX: y", "/%7f", "/a\tb"])
def test_control_characters_in_a_path_are_refused(edge: Edge, target: str) -> None:
    page = asyncio.run(fetch(edge, "GET", target))
    assert (page.status, page.code) == (400, "bad_request")


def test_a_body_that_grows_over_the_limit_is_refused_at_that_byte(make_edge: MakeEdge) -> None:
    edge = make_edge(max_small_body_bytes=10)

    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/echo", [("Transfer-Encoding", "chunked")])
        connection.feed(b"0123456789")
        await asyncio.sleep(0.05)
        assert connection.status == 0
        connection.feed(b"x")
        await connection.until(lambda c: c.complete)
        connection.disconnect()
        return await connection.end()

    page = asyncio.run(scenario())
    assert (page.status, page.code) == (413, "payload_too_large")


def test_all_small_bodies_together_are_bounded_and_the_bound_is_given_back(
    make_edge: MakeEdge,
) -> None:
    edge = make_edge(max_small_bodies_bytes=1000)

    async def scenario() -> tuple[Connection, Connection, Connection]:
        first = Connection(edge, "POST", "/echo", [("Content-Length", "900")])
        first.feed(bytes(800))
        await asyncio.sleep(0.05)
        second = await fetch(edge, "POST", "/echo", body=bytes(201))
        first.feed(bytes(100), more=False)
        await first.end()
        third = await fetch(edge, "POST", "/echo", body=bytes(1000))
        return first, second, third

    first, second, third = asyncio.run(scenario())
    assert (second.status, second.code, second.header("Retry-After")) == (503, "overloaded", "5")
    assert (first.status, third.status) == (200, 200)


@pytest.mark.parametrize("target", ["/echo", "/receive"])
def test_a_body_that_stalls_is_cut_in_time(make_edge: MakeEdge, target: str) -> None:
    edge = make_edge(body_idle_s=0.2)

    async def scenario() -> tuple[Connection, float]:
        began = time.monotonic()
        connection = Connection(edge, "POST", target, [("Content-Length", "10")])
        connection.feed(b"abc")
        await connection.end()
        return connection, time.monotonic() - began

    page, took_s = asyncio.run(scenario())
    assert (page.status, page.code) == (408, "request_timeout")
    assert 0.2 <= took_s < 10  # the grace has 30 s


@pytest.mark.parametrize("target", ["/echo", "/receive"])
def test_a_body_that_trickles_is_cut_after_the_grace_however_fast_it_began(
    make_edge: MakeEdge, target: str
) -> None:
    edge = make_edge(body_idle_s=30, body_grace_s=0.3, min_bytes_per_s=1000)

    async def scenario() -> tuple[Connection, float]:
        connection = Connection(edge, "POST", target, [("Content-Length", "99000")])
        connection.feed(bytes(50_000))
        began = time.monotonic()
        while not connection.task.done() and time.monotonic() < began + 10:
            connection.feed(b"x")
            await asyncio.sleep(0.02)
        return await connection.end(), time.monotonic() - began

    page, took_s = asyncio.run(scenario())
    assert (page.status, page.code) == (408, "request_timeout")
    assert 0.3 <= took_s < 10


def test_a_steady_body_above_the_minimum_rate_is_not_cut(make_edge: MakeEdge) -> None:
    edge = make_edge(body_idle_s=0.3, body_grace_s=0.1, min_bytes_per_s=1000)

    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/echo", [("Content-Length", "4000")])
        for _ in range(40):
            connection.feed(bytes(100))
            await asyncio.sleep(0.02)
        connection.feed(b"", more=False)
        return await connection.end()

    assert asyncio.run(scenario()).json()["length"] == 4000


def test_half_sent_bodies_take_no_thread(make_edge: MakeEdge) -> None:
    edge = make_edge(threads=2)

    async def scenario() -> float:
        slow = []
        for target in ("/echo", "/receive") * 50:
            connection = Connection(edge, "POST", target, [("Content-Length", "100")])
            connection.feed(b"a")
            slow.append(connection)
        await asyncio.sleep(0.2)
        began = time.monotonic()
        page = await fetch(edge, "GET", "/hello")
        took_s = time.monotonic() - began
        assert page.status == 200
        for connection in slow:
            connection.disconnect()
        for connection in slow:  # each lingers for as long as all of them together
            await connection.end()
        return took_s

    assert asyncio.run(scenario()) < 5  # who waits for a thread does so for 10 s


def test_a_request_that_gets_no_thread_in_time_is_refused(make_edge: MakeEdge) -> None:
    edge = make_edge(threads=1, queue_s=0.1)

    async def scenario() -> tuple[Connection, Connection]:
        busy = Connection(edge, "GET", "/sleep?s=0.5")
        await asyncio.sleep(0.05)
        refused = await fetch(edge, "GET", "/hello")
        return await busy.end(), refused

    busy, refused = asyncio.run(scenario())
    assert busy.body == b"slept"
    assert (refused.status, refused.code) == (503, "overloaded")
    assert refused.header("Retry-After") == "5"


def test_the_environ_says_what_the_client_sent(edge: Edge) -> None:
    headers = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X_Forwarded_Proto", "https"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Latin", "\xe9"),
    ]
    page = asyncio.run(fetch(edge, "POST", "/meta?a=%20b&c", headers, b"abc"))
    meta = page.json()["meta"]
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/meta",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "a=%20b&c",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "testserver",
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
        "HTTP_X_TWICE": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "CONTENT_TYPE": "text/plain; charset=utf-8",
        "CONTENT_LENGTH": "3",
        "HTTP_X_LATIN": "\xe9",
    }
    assert {name: meta.get(name) for name in expected} == expected
    assert "HTTP_X_FORWARDED_PROTO" not in meta
    assert "HTTP_CONTENT_LENGTH" not in meta


def test_a_path_is_decoded_once(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/m%C3%A4ta/%252e%2Bx"))
    assert page.body == b"%2e+x"


def test_a_mount_point_is_not_part_of_the_path(edge: Edge) -> None:
    async def scenario() -> Connection:
        return await Connection(edge, "GET", "/box/meta", root_path="/box").end()

    page = asyncio.run(scenario()).json()
    assert (page["path"], page["meta"]["PATH_INFO"]) == ("/box/meta", "/meta")


def test_head_has_the_headers_and_no_body(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "HEAD", "/hello"))
    assert (page.status, page.body, page.header("Content-Length")) == (200, b"", "5")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(edge: Edge, status: int) -> None:
    page = asyncio.run(fetch(edge, "GET", f"/odd?kind={status}"))
    assert (page.status, page.body, page.header("Content-Length")) == (status, b"", None)


def test_headers_of_one_connection_are_not_passed_on(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/odd?kind=hop"))
    assert page.header("Transfer-Encoding") is None
    assert page.header("Keep-Alive") is None


def test_all_cookies_are_kept(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/odd?kind=cookies"))
    assert len([name for name, _ in page.headers if name == "set-cookie"]) == 2


@pytest.mark.parametrize("target", ["/odd?kind=huge", "/hello?then=crash"])
def test_what_goes_wrong_inside_is_a_500_that_says_nothing(
    edge: Edge, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = asyncio.run(fetch(edge, "GET", target))
    assert page.status == 500
    assert b"crashed" not in page.body
    assert b"Traceback" not in page.body
    assert any(record.exc_info for record in caplog.records)


def test_a_page_that_was_too_large_is_a_problem(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    page = asyncio.run(fetch(edge, "GET", "/odd?kind=huge"))
    assert page.code == "internal_error"


def test_a_path_that_leads_nowhere_is_refused_without_its_body(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "POST", "/nowhere", [("Content-Length", str(2**40))])
        await connection.until(lambda c: c.complete)
        assert connection.receives <= 1  # the first discarding one
        connection.disconnect()
        return await connection.end()

    assert asyncio.run(scenario()).status == 404


@pytest.mark.parametrize(
    ("offered", "taken"),
    [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("", False)],
)
def test_a_harmless_request_id_is_taken_and_given_back(
    edge: Edge, offered: str, taken: bool
) -> None:
    async def scenario() -> list[Connection]:
        headers = [("X-Request-ID", offered)]
        too_long = [*headers, ("Content-Length", str(2**40))]
        return [
            await fetch(edge, "GET", "/hello", headers),
            await fetch(edge, "POST", "/echo", too_long),  # answered by the edge itself
        ]

    for page in asyncio.run(scenario()):
        given = page.header("X-Request-ID")
        assert given
        assert (given == offered) is taken


def test_the_access_line_names_the_path_and_never_the_query(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "strongroom.access")
    headers = [("X-Request-ID", "r1"), ("Authorization", "Bearer secret-token")]
    asyncio.run(fetch(edge, "POST", "/echo?token=secret-query", headers, b"secret-body"))
    (record,) = [r for r in caplog.records if r.name == "strongroom.access"]
    said: dict[str, Any] = vars(record)
    assert said["method"] == "POST"
    assert said["path"] == "/echo"
    assert said["status"] == 200
    assert said["bytes_in"] == 11
    assert said["bytes_out"] > 0
    assert said["ms"] >= 0
    assert said["request_id"] == "r1"
    assert "secret" not in str(said)


def test_a_websocket_is_closed(edge: Edge) -> None:
    async def scenario() -> list[str]:
        said: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await edge({"type": "websocket", "path": "/"}, receive, send)
        return said

    assert asyncio.run(scenario()) == ["websocket.close"]


def test_static_files_are_served_with_their_caching(
    make_edge: MakeEdge, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "app.0123456789ab.js").write_text("hashed")
    (tmp_path / "plain.css").write_text("plain")
    (tmp_path.parent / "outside.txt").write_text("outside")
    settings.STATIC_ROOT, settings.STATIC_URL = tmp_path, "/static/"
    edge = make_edge()

    async def scenario() -> dict[str, Connection]:
        targets = [
            "/static/app.0123456789ab.js",
            "/static/plain.css",
            "/static/none.css",
            "/static/../outside.txt",
            "/static/%2e%2e/outside.txt",
        ]
        return {target: await fetch(edge, "GET", target) for target in targets}

    pages = asyncio.run(scenario())
    hashed, plain, *others = pages.values()
    assert (hashed.status, hashed.body) == (200, b"hashed")
    assert "immutable" in (hashed.header("Cache-Control") or "")
    assert "immutable" not in (plain.header("Cache-Control") or "")
    assert hashed.header("X-Content-Type-Options") == "nosniff"
    assert hashed.header("Access-Control-Allow-Origin") is None
    assert [page.status for page in others] == [404, 404, 404]
    assert all(b"outside" not in page.body for page in others)


def test_a_static_file_cannot_be_posted_to(
    make_edge: MakeEdge, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "plain.css").write_text("plain")
    settings.STATIC_ROOT, settings.STATIC_URL = tmp_path, "/static/"
    page = asyncio.run(fetch(make_edge(), "POST", "/static/plain.css", body=b"x"))
    assert page.status == 404


def test_pages_run_in_threads_of_their_own(edge: Edge) -> None:
    asyncio.run(fetch(edge, "GET", "/hello"))
    assert any(t.name.startswith("edge-pages") for t in threading.enumerate())
