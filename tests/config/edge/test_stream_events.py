"""Events: live, replayed, bounded, revoked; and how the edge stops."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from django.test import Client

from config.edge.app import Edge
from config.edge.frames import REPLAY_EVENTS, Event, encode
from config.edge.hub import QUEUE_EVENTS
from tests.config.edge.driver import Connection, Headers, fetch, lifespan
from tests.config.edge.site import ALLOWED, FEED, Recorder, Source

MakeEdge = Callable[..., Edge]


async def listen(edge: Edge, channel: str = "anna", last_id: str | None = None) -> Connection:
    headers: Headers = [] if last_id is None else [("Last-Event-ID", last_id)]
    connection = Connection(edge, "GET", f"/events/{channel}", headers)
    connection.feed(b"", more=False)
    await connection.until(lambda c: c.body != b"")
    return connection


async def leave(*connections: Connection) -> None:
    for connection in connections:
        connection.disconnect()
        await connection.end()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event(7, "changed", "{}", "a"), "id: 7\nevent: changed\ndata: {}\n\n"),
        (
            Event(8, "x", "a\nb\r\nc\rd", "a"),
            "id: 8\nevent: x\ndata: a\ndata: b\ndata: c\ndata: d\n\n",
        ),
        (Event(9, "x\nid: 1", "", "a"), "id: 9\nevent: xid: 1\ndata: \n\n"),
    ],
)
def test_an_event_is_one_block_whatever_it_contains(event: Event, text: str) -> None:
    assert encode([event]) == text


def test_an_event_reaches_its_channel_and_no_other(edge: Edge) -> None:
    async def scenario() -> tuple[Connection, Connection]:
        anna, boris = await listen(edge, "anna"), await listen(edge, "boris")
        FEED.announce("anna", "first")
        await anna.until(lambda c: b"first" in c.body, timeout_s=10)
        FEED.announce("boris", "second")
        await boris.until(lambda c: b"second" in c.body, timeout_s=10)
        await leave(anna, boris)
        return anna, boris

    anna, boris = asyncio.run(scenario())
    assert anna.status == 200
    assert anna.header("Content-Type") == "text/event-stream"
    assert anna.header("Cache-Control") == "no-store"
    assert anna.header("Content-Length") is None
    assert anna.header("X-From-Middleware") == "yes"
    assert anna.body == b"retry: 2000\nid: 0\n\nid: 1\nevent: changed\ndata: first\n\n"
    assert b"first" not in boris.body


def test_many_listeners_cost_one_question_a_tick_and_none_when_they_left(
    make_edge: MakeEdge,
) -> None:
    edge = make_edge(tick_s=0.05)

    async def scenario() -> tuple[int, int]:
        listeners = [await listen(edge, f"c{n}") for n in range(50)]
        before = FEED.questions
        await asyncio.sleep(0.5)
        asked = FEED.questions - before
        await leave(*listeners)
        await asyncio.sleep(0.1)
        before = FEED.questions
        await asyncio.sleep(0.2)
        return asked, FEED.questions - before

    asked, asked_after = asyncio.run(scenario())
    assert 1 <= asked <= 11
    assert asked_after == 0


def test_a_hub_wakes_up_again(edge: Edge) -> None:
    async def scenario() -> Connection:
        await leave(await listen(edge))
        await asyncio.sleep(0.3)
        FEED.announce("anna", "unheard")
        anna = await listen(edge)
        FEED.announce("anna", "heard")
        await anna.until(lambda c: b": heard" in c.body, timeout_s=10)
        await leave(anna)
        return anna

    assert b"unheard" not in asyncio.run(scenario()).body


def test_what_was_missed_is_replayed_and_nothing_is_sent_twice(edge: Edge) -> None:
    for number in range(1, 6):
        FEED.announce("anna" if number % 2 else "boris", f"event {number}")

    async def scenario() -> Connection:
        anna = await listen(edge, "anna", last_id="1")
        FEED.announce("anna", "event 6")
        await anna.until(lambda c: b"event 6" in c.body, timeout_s=10)
        await leave(anna)
        return anna

    lines = asyncio.run(scenario()).body.decode().split("\n")
    assert [line for line in lines if line.startswith("data")] == [
        "data: event 3",
        "data: event 5",
        "data: event 6",
    ]


def test_no_event_falls_between_replay_and_live(make_edge: MakeEdge) -> None:
    edge = make_edge(tick_s=0.001)

    async def scenario() -> Connection:
        async def announce() -> None:
            for number in range(300):
                FEED.announce("anna", f"<{number}>")
                await asyncio.sleep(0.001)

        announcing = asyncio.ensure_future(announce())
        await asyncio.sleep(0.05)
        anna = await listen(edge, last_id="5")
        await announcing
        await anna.until(lambda c: b"<299>" in c.body)
        await leave(anna)
        return anna

    body = asyncio.run(scenario()).body.decode()
    seen = [line for line in body.split("\n") if line.startswith("data")]
    assert seen == [f"data: <{number}>" for number in range(5, 300)]


@pytest.mark.parametrize("last_id", [str(10**9), "-1", "1.5", "x", "\u00b2"])
def test_who_cannot_be_continued_is_told_to_start_anew(edge: Edge, last_id: str) -> None:
    FEED.announce("anna", "old")

    async def scenario() -> Connection:
        anna = await listen(edge, last_id=last_id)
        await leave(anna)
        return anna

    body = asyncio.run(scenario()).body
    assert b"id: 1\nevent: reset\ndata: {}\n\n" in body
    assert b"old" not in body


def test_who_missed_too_much_is_told_to_start_anew(edge: Edge) -> None:
    for _ in range(REPLAY_EVENTS + 2):
        FEED.announce("anna", "old")

    async def scenario() -> tuple[Connection, Connection]:
        far, near = await listen(edge, last_id="1"), await listen(edge, last_id="2")
        await leave(far, near)
        return far, near

    far, near = asyncio.run(scenario())
    assert b"event: reset" in far.body
    assert b"old" not in far.body
    assert near.body.count(b"old") == REPLAY_EVENTS


def test_a_line_that_is_silent_shows_that_it_lives(make_edge: MakeEdge) -> None:
    edge = make_edge(heartbeat_s=0.1)

    async def scenario() -> Connection:
        anna = await listen(edge)
        await anna.until(lambda c: c.body.count(b":\n\n") >= 2, timeout_s=10)
        await leave(anna)
        return anna

    asyncio.run(scenario())


@pytest.mark.parametrize("busy", [False, True])
def test_who_may_no_longer_listen_is_cut_off_even_when_busy(
    make_edge: MakeEdge, busy: bool
) -> None:
    edge = make_edge(heartbeat_s=0.2, tick_s=0.01)

    async def scenario() -> Connection:
        anna = await listen(edge)
        ALLOWED["anna"] = False
        async with asyncio.timeout(1):
            while not anna.complete:
                if busy:
                    FEED.announce("anna", "news")
                await asyncio.sleep(0.02)
        return await anna.end()

    assert asyncio.run(scenario()).complete


def test_who_cannot_be_vouched_for_is_cut_off(
    make_edge: MakeEdge, caplog: pytest.LogCaptureFixture
) -> None:
    edge = make_edge(heartbeat_s=0.1)

    async def scenario() -> Connection:
        anna = await listen(edge)
        ALLOWED["anna"] = None  # the check raises
        return await anna.end(2)

    assert asyncio.run(scenario()).complete
    assert "a listener could not be checked" in caplog.messages


def test_a_listener_that_does_not_read_is_dropped_and_others_go_on(edge: Edge) -> None:
    async def scenario() -> tuple[Connection, Connection]:
        slow, fast = await listen(edge), await listen(edge)
        slow.writable.clear()
        for number in range(QUEUE_EVENTS + 50):
            FEED.announce("anna", f"<{number}>")
            if number % 50 == 0:
                await asyncio.sleep(0.15)
        await fast.until(lambda c: f"<{QUEUE_EVENTS + 49}>".encode() in c.body)
        slow.writable.set()
        await slow.end(2)
        await leave(fast)
        return slow, fast

    slow, fast = asyncio.run(scenario())
    assert slow.body.count(b"data:") < QUEUE_EVENTS
    assert fast.body.count(b"data:") == QUEUE_EVENTS + 50


def test_a_feed_that_fails_for_a_while_loses_nothing(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        anna = await listen(edge)
        FEED.broken = True
        FEED.announce("anna", "meanwhile")
        await asyncio.sleep(0.2)
        FEED.broken = False
        await anna.until(lambda c: b"meanwhile" in c.body, timeout_s=3)
        await leave(anna)

    asyncio.run(scenario())
    assert "a feed of events could not be read" in caplog.messages


def test_without_the_edge_the_replay_is_all(client: Client) -> None:
    FEED.announce("anna", "one")
    FEED.announce("anna", "two")
    response = client.get("/events/anna", headers={"Last-Event-ID": "1"})
    assert response["Content-Type"] == "text/event-stream"
    assert b"data: two" in response.content
    assert b"data: one" not in response.content


def test_a_shutdown_ends_streams_at_once_and_the_rest_after_a_grace(make_edge: MakeEdge) -> None:
    edge = make_edge(stop_grace_s=2)

    async def scenario() -> tuple[Connection, ...]:
        async with lifespan(edge) as shut_down:
            anna = await listen(edge)
            upload = Connection(edge, "PUT", "/receive", [("Content-Length", "100")])
            upload.feed(b"abc")
            short = Connection(edge, "PUT", "/receive", [("Content-Length", "6")])
            short.feed(b"abc")
            download = Connection(edge, "GET", "/content")
            download.feed(b"", more=False)
            await download.until(lambda c: c.status == 200)
            download.writable.clear()
            await asyncio.sleep(0.1)
            began = time.monotonic()
            edge.stop()
            await anna.end(1.5)
            short.feed(b"def", more=False)
            await short.end(1.5)
            await asyncio.gather(upload.end(), download.end())
            assert 1.9 <= time.monotonic() - began < 15
            late = await fetch(edge, "GET", "/events/anna")
            await shut_down()
        return anna, upload, short, download, late

    anna, upload, short, download, late = asyncio.run(scenario())
    assert anna.complete
    assert (upload.status, upload.code) == (503, "stopping")
    assert short.status == 201
    assert not download.complete
    assert (late.status, late.code) == (503, "stopping")
    assert Recorder.journal == ["finish", "abort"]
    assert Source.closed == ["closed"]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("through_the_loop", [True, False])
def test_a_signal_reaches_the_edge_and_the_server_both(
    edge: Edge, new_loop: Callable[[], asyncio.AbstractEventLoop], through_the_loop: bool
) -> None:
    heard: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        if through_the_loop:
            loop.add_signal_handler(signal.SIGTERM, heard.append, "server")
        else:
            signal.signal(signal.SIGTERM, lambda *_: heard.append("server"))
        async with lifespan(edge):
            anna = await listen(edge)
            os.kill(os.getpid(), signal.SIGTERM)
            await anna.end(10)
            assert anna.complete
            await asyncio.sleep(0.05)
        loop.remove_signal_handler(signal.SIGTERM)

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(scenario())
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert heard == ["server"]


def test_a_signal_that_the_server_does_not_handle_keeps_its_effect(edge: Edge) -> None:
    async def scenario() -> Any:
        async with lifespan(edge):
            return signal.getsignal(signal.SIGTERM)

    assert asyncio.run(scenario()) is signal.SIG_DFL
