"""Content that goes out: whole, in part, unchanged, or cut."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from django.test import Client

from config.edge.app import Edge
from config.edge.handover import PIECE_BYTES
from tests.config.edge.driver import Connection, Headers, fetch
from tests.config.edge.site import CONTENT, ETAG, MODIFIED, Source

MakeEdge = Callable[..., Edge]
SIZE = len(CONTENT)

# Method, headers; status, body, Content-Range. None: not compared.
Row = tuple[str, Headers, int, bytes | None, str | None]
ANSWERS: list[Row] = [
    ("GET", [], 200, CONTENT, None),
    ("GET", [("Range", "bytes=0-0")], 206, CONTENT[:1], f"bytes 0-0/{SIZE}"),
    ("GET", [("Range", "bytes=262143-262144")], 206, CONTENT[262143:262145], None),
    ("GET", [("Range", "bytes=1000-")], 206, CONTENT[1000:], f"bytes 1000-{SIZE - 1}/{SIZE}"),
    ("GET", [("Range", "bytes=-300000")], 206, CONTENT[-300000:], None),
    ("GET", [("Range", "bytes=0-1,4-5")], 200, CONTENT, None),
    ("GET", [("Range", f"bytes={SIZE}-")], 416, None, f"bytes */{SIZE}"),
    ("GET", [("Range", "bytes=0-4"), ("If-Range", ETAG)], 206, CONTENT[:5], None),
    ("GET", [("Range", "bytes=0-4"), ("If-Range", '"v0"')], 200, CONTENT, None),
    ("GET", [("Range", f"bytes={SIZE}-"), ("If-Range", '"v0"')], 200, CONTENT, None),
    ("HEAD", [], 200, b"", None),
    ("HEAD", [("Range", "bytes=0-4")], 200, b"", None),
    ("GET", [("If-None-Match", ETAG)], 304, b"", None),
    ("GET", [("If-None-Match", f'"v0", W/{ETAG}')], 304, b"", None),
    ("GET", [("If-None-Match", "*"), ("Range", "bytes=0-4")], 304, b"", None),
    ("HEAD", [("If-None-Match", ETAG)], 304, b"", None),
    ("GET", [("If-None-Match", '"v0"')], 200, CONTENT, None),
    ("GET", [("If-Match", f'"v0", {ETAG}')], 200, CONTENT, None),
    ("GET", [("If-Match", "*")], 200, CONTENT, None),
    ("GET", [("If-Match", '"v0"')], 412, None, None),
    ("GET", [("If-Modified-Since", MODIFIED)], 304, b"", None),
    ("HEAD", [("If-Modified-Since", "Fri, 01 Jan 2027 00:00:00 GMT")], 304, b"", None),
    ("GET", [("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")], 200, CONTENT, None),
    ("GET", [("If-Modified-Since", "yesterday")], 200, CONTENT, None),
    ("GET", [("If-Modified-Since", MODIFIED), ("If-None-Match", '"v0"')], 200, CONTENT, None),
    ("GET", [("If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")], 200, CONTENT, None),
]


@pytest.mark.parametrize("row", ANSWERS)
def test_content_is_answered(edge: Edge, row: Row) -> None:
    method, headers, status, body, content_range = row
    page = asyncio.run(fetch(edge, method, "/content", headers))
    assert (page.status, page.complete) == (status, True)
    if body is not None:
        assert page.body == body
    if content_range is not None:
        assert page.header("Content-Range") == content_range
    if status in {200, 206}:
        expected = len(CONTENT if method == "HEAD" else page.body)
        assert page.header("Content-Length") == str(expected)
        assert page.header("Accept-Ranges") == "bytes"
        assert page.header("ETag") == ETAG
        assert page.header("Content-Disposition") == "attachment"
    if status in {412, 416}:
        assert page.header("Content-Type") == "application/problem+json"
        assert page.header("Content-Disposition") is None
    assert page.header("X-From-Middleware") == "yes"
    assert page.header("X-Content-Type-Options") == "nosniff"
    assert Source.closed == ["closed"]


@pytest.mark.django_db  # the client closes old connections, and other tests may have left one
@pytest.mark.parametrize("row", ANSWERS)
def test_without_the_edge_the_answer_is_the_same(client: Client, row: Row) -> None:
    method, headers, status, body, content_range = row
    response = client.generic(method, "/content", headers=dict(headers))
    content = response.getvalue() if response.streaming else response.content
    assert response.status_code == status
    if body is not None:
        assert content == body
    if content_range is not None:
        assert response["Content-Range"] == content_range
    response.close()
    assert Source.closed == ["closed"]


def test_content_is_read_in_small_pieces(edge: Edge) -> None:
    asyncio.run(fetch(edge, "GET", "/content", [("Range", "bytes=5-600000")]))
    assert max(Source.reads) == PIECE_BYTES
    assert sum(Source.reads) == 600_000 - 5 + 1


def test_content_of_no_bytes_is_sent(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/empty"))
    assert (page.status, page.body, page.header("Content-Length")) == (200, b"", "0")
    assert page.complete
    assert Source.closed == ["closed"]


def test_content_that_cannot_be_read_at_all_is_refused(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/content?breaks_at=0"))
    assert (page.status, page.code) == (500, "blob_damaged")
    names = {name for name, _ in page.headers}
    assert not names & {"etag", "content-disposition", "accept-ranges", "content-range"}
    assert page.header("X-From-Middleware") == "yes"
    assert Source.closed == ["closed"]


@pytest.mark.parametrize("how", ["breaks_at=700000", "ends_at=700000", f"ends_at={PIECE_BYTES}"])
def test_an_answer_that_breaks_in_the_middle_is_never_completed(
    edge: Edge, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = asyncio.run(fetch(edge, "GET", f"/content?{how}"))
    assert page.status == 200
    assert not page.complete
    assert CONTENT.startswith(page.body)
    assert len(page.body) < SIZE
    assert Source.closed == ["closed"]


def test_a_client_that_leaves_ends_the_reading(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "GET", "/content")
        connection.writable.clear()
        connection.feed(b"", more=False)
        await asyncio.sleep(0.1)
        connection.disconnect()
        await asyncio.sleep(0.1)
        connection.writable.set()
        return await connection.end()

    page = asyncio.run(scenario())
    assert not page.complete
    assert len(Source.reads) <= 2
    assert Source.closed == ["closed"]


# With one thread, the first answer may have read ahead before the second came.
@pytest.mark.parametrize(("byte_threads", "reads"), [(4, {4}), (1, {2, 3})])
def test_a_piece_is_read_ahead_unless_it_is_crowded(
    make_edge: MakeEdge, byte_threads: int, reads: set[int]
) -> None:
    edge = make_edge(byte_threads=byte_threads)

    async def scenario() -> None:
        crowd = [Connection(edge, "GET", "/content") for _ in range(2)]
        for connection in crowd:
            connection.writable.clear()
            connection.feed(b"", more=False)
        await asyncio.sleep(0.3)
        assert len(Source.reads) in reads
        for connection in crowd:
            connection.disconnect()
            connection.writable.set()
            await connection.end()

    asyncio.run(scenario())


def test_a_client_that_does_not_read_holds_the_reading_back_and_is_cut(
    make_edge: MakeEdge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "config.edge.sending")
    edge = make_edge(body_idle_s=0.3)

    async def scenario() -> Connection:
        connection = Connection(edge, "GET", "/content")
        connection.feed(b"", more=False)
        await connection.until(lambda c: c.status == 200)
        connection.writable.clear()
        return await connection.end(2)

    page = asyncio.run(scenario())
    assert not page.complete
    assert "a client stopped reading" in caplog.messages
    assert len(Source.reads) <= 2
    assert Source.closed == ["closed"]


@pytest.mark.parametrize("then", ["replace", "crash"])
def test_content_whose_placeholder_was_replaced_is_closed(
    edge: Edge, then: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(fetch(edge, "GET", f"/content?then={then}"))
    assert Source.reads == []
    assert Source.closed == ["closed"]
