"""What is made as it is sent: whole, refused, cut, or left."""

import asyncio
from collections.abc import Callable

import pytest
from django.test import Client

from config.edge.app import Edge
from tests.config.edge.driver import Connection, fetch
from tests.config.edge.site import Pieces

MakeEdge = Callable[..., Edge]


@pytest.mark.parametrize("count", [1, 2, 40])
def test_all_pieces_arrive_in_order_without_a_length(edge: Edge, count: int) -> None:
    page = asyncio.run(fetch(edge, "GET", f"/pieces/{count}"))
    assert (page.status, page.complete) == (200, True)
    assert page.body == b"".join(bytes([65 + number % 26]) * 1024 for number in range(count))
    assert page.header("Content-Length") is None
    assert page.header("Content-Type") == "text/csv"
    assert page.header("X-From-Middleware") == "yes"
    assert Pieces.closed == 1


def test_without_any_piece_the_answer_is_empty(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/pieces/0"))
    assert (page.status, page.body, page.complete) == (200, b"", True)


def test_a_question_for_the_head_makes_nothing(edge: Edge) -> None:
    Pieces.made = 0
    page = asyncio.run(fetch(edge, "HEAD", "/pieces/3"))
    assert (page.status, page.body, page.complete) == (200, b"", True)
    assert Pieces.made == 0


def test_what_fails_before_the_first_piece_is_refused(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/pieces/3?breaks_at=0"))
    assert (page.status, page.code) == (500, "blob_damaged")
    assert Pieces.closed == 1


def test_what_fails_later_is_cut(edge: Edge) -> None:
    page = asyncio.run(fetch(edge, "GET", "/pieces/5?breaks_at=2"))
    assert page.status == 200
    assert not page.complete
    assert len(page.body) == 2048
    assert Pieces.closed == 1


def test_a_client_that_leaves_ends_the_making(edge: Edge) -> None:
    async def scenario() -> Connection:
        connection = Connection(edge, "GET", "/pieces/1000")
        connection.writable.clear()
        connection.feed(b"", more=False)
        await asyncio.sleep(0.1)
        connection.disconnect()
        await asyncio.sleep(0.1)
        connection.writable.set()
        return await connection.end()

    page = asyncio.run(scenario())
    assert not page.complete
    assert Pieces.made <= 2, "a slow client holds back what is made"
    assert Pieces.closed == 1


def test_a_stop_waits_for_the_piece_that_is_being_made(make_edge: MakeEdge) -> None:
    edge = make_edge(stop_grace_s=0.05)

    async def scenario() -> Connection:
        connection = Connection(edge, "GET", "/pieces/3?pause_s=0.4")
        connection.feed(b"", more=False)
        await asyncio.sleep(0.1)
        edge.stop()
        return await connection.end()

    page = asyncio.run(scenario())
    assert (page.status, page.code) == (503, "stopping")
    assert (Pieces.made, Pieces.closed) == (1, 1)


def test_an_answer_that_takes_its_place_drops_it(edge: Edge) -> None:
    Pieces.made = 0
    page = asyncio.run(fetch(edge, "GET", "/pieces/3?then=replace"))
    assert (page.status, page.body) == (418, b"replaced")
    assert Pieces.made == 0


@pytest.mark.django_db
def test_without_the_edge_the_pieces_are_the_same(client: Client) -> None:
    response = client.get("/pieces/3")
    assert response.getvalue() == b"A" * 1024 + b"B" * 1024 + b"C" * 1024
