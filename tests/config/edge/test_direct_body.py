"""Large bodies, which are read past the parser."""

import asyncio
import random
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from config import memory
from config.edge import direct, receiving
from config.edge.body import Body
from config.edge.connection import DIRECT_BYTES
from config.edge.errors import Disconnected, RequestTimeout
from config.edge.limits import Limits
from config.edge.pools import Pools
from config.edge.receiving import HELD, Delivery
from tests.config.edge.site import CONTENT, Recorder
from tests.config.edge.wire import GET, HANGS_S, Site, Wire, put, run, send_all

LARGE = bytes(range(256)) * (DIRECT_BYTES // 256) + b"the rest"


@pytest.fixture
def site() -> Site:
    return Site()


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
        await asyncio.sleep(1)

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
        async with asyncio.timeout(HANGS_S):
            while not site.failed:
                await asyncio.sleep(every_s)
                if not wire.paused and not wire.closed:
                    wire.send(b"x")

    run(scenario())
    assert [type(error) for error in site.failed] == [RequestTimeout]


@pytest.fixture
def fast(monkeypatch) -> None:
    """Every body that fills its pieces is fast, however slow the machine is."""
    monkeypatch.setattr(receiving, "FAST_BYTES_PER_S", 0)
    monkeypatch.setattr(receiving, "QUIET_S", HANGS_S)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("streams", [1, 3], ids=["alone", "in a crowd"])
@pytest.mark.parametrize("write_s", [0, 0.003], ids=["fast disk", "slow disk"])
def test_pieces_are_used_again_only_when_their_receiver_is_done(
    make_edge, monkeypatch, streams, write_s
) -> None:
    monkeypatch.setattr(receiving, "PIECE_BYTES", 1024 * 1024)
    edge = make_edge(byte_threads=2)
    content = random.Random(7).randbytes(12 * receiving.PIECE_BYTES + 12_345)
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


@pytest.mark.usefixtures("fast")
def test_the_first_piece_of_a_body_is_small_and_the_others_are_large(make_edge) -> None:
    edge = make_edge()
    content = bytes(2 * receiving.PIECE_BYTES + receiving.LEAST_PIECE_BYTES)

    async def scenario() -> None:
        wire = Wire(edge)
        wire.send(
            b"PUT /receive HTTP/1.1\r\nHost: testserver\r\nContent-Length: %d\r\n\r\n"
            % len(content)
        )
        await send_all(wire, content, at_once=300_000)
        await wire.until_written(b"201")

    asyncio.run(scenario())
    first, second, *_ = Recorder.sizes
    assert first <= receiving.LEAST_PIECE_BYTES < second <= receiving.PIECE_BYTES
    assert sum(Recorder.sizes) == len(content)


def test_fast_bodies_share_the_memory_and_slow_ones_are_not_counted() -> None:
    pools = Pools(Limits(byte_threads=4))

    async def sizes() -> list[float]:
        bodies = [Delivery(Recorder(), pools, "") for _ in range(40)]
        found = []
        for number, body in enumerate(bodies, 1):
            body.note_speed(True)
            assert body.holds == (number <= 4)
            pieces = number * (HELD + 1 if body.holds else 1)
            found.append(body.piece_bytes)
            assert body.piece_bytes * pieces <= receiving.MEMORY_BYTES or number > 32
        for body in bodies[1:]:
            body.note_speed(False)
            body.note_speed(False)
            assert not body.holds
            assert body.piece_bytes == receiving.LEAST_PIECE_BYTES
        assert bodies[0].holds
        return [size / 1024 / 1024 for size in [*found, bodies[0].piece_bytes]]

    found = asyncio.run(sizes())
    pools.close()
    assert found == [4, 2, 1, 1, *[2] * 4, *[1] * 8, *[0.5] * 24, 4]


@pytest.mark.usefixtures("fast")
def test_bodies_that_become_slow_and_fast_again_are_taken_as_they_came(
    make_edge, monkeypatch
) -> None:
    """Each pause gives all pieces back; in between, memory is used again while others read it."""
    monkeypatch.setattr(receiving, "PIECE_BYTES", 1024 * 1024)
    monkeypatch.setattr(receiving, "MEMORY_BYTES", 8 * 1024 * 1024)
    edge = make_edge(byte_threads=2)
    content = random.Random(8).randbytes(10 * 1024 * 1024)

    async def upload(number: int) -> bytes:
        wire = Wire(edge)
        head = b"PUT /hold?write_s=0.002 HTTP/1.1\r\nHost: testserver\r\nContent-Length: %d\r\n\r\n"
        wire.send(head % len(content))
        for start in range(0, len(content), 2_500_000 + number * 100_000):
            await send_all(
                wire, content[start : start + 2_500_000 + number * 100_000], at_once=300_000
            )
            await asyncio.sleep(2 * direct.PAUSE_S + 0.02 * number)
        await wire.until_written(b"sha256")
        return wire.written

    async def scenario() -> list[bytes]:
        return await asyncio.gather(*map(upload, range(4)))

    answers = asyncio.run(scenario())
    expected = sha256(content).hexdigest().encode()
    assert [expected in answer for answer in answers] == [True] * 4
    assert Recorder.journal == ["finish"] * 4
    assert min(Recorder.sizes) == 0
    assert max(Recorder.sizes) > receiving.LEAST_PIECE_BYTES


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANGS_S):
        while not condition():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.02)


async def until_aborted() -> None:
    await until(lambda: Recorder.journal == ["abort"])


async def begin_upload(wire: Wire, target: bytes = b"/receive") -> None:
    """Begin a body that is longer than what will come of it: two pieces, which are full."""
    wire.send(b"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (target, 1 << 40))
    both = receiving.LEAST_PIECE_BYTES + receiving.PIECE_BYTES
    await send_all(wire, bytes(both), at_once=300_000)
    await asyncio.sleep(0.05)


@pytest.mark.usefixtures("fast")
def test_a_fast_body_keeps_no_thread_from_others(make_edge) -> None:
    edge = make_edge(byte_threads=1)

    async def scenario() -> None:
        upload, download = Wire(edge), Wire(edge)
        await begin_upload(upload, b"/receive?write_s=0.05")
        download.send(b"GET /content HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(HANGS_S):
            while not download.closed:
                await send_all(upload, bytes(1024 * 1024), at_once=300_000)
        assert download.written.endswith(CONTENT)
        upload.leave()
        await until_aborted()

    asyncio.run(scenario())


@pytest.mark.usefixtures("fast")
def test_a_fast_body_that_falls_silent_takes_no_share(make_edge, monkeypatch) -> None:
    monkeypatch.setattr(receiving, "QUIET_S", 1)
    emptied: list[int] = []
    monkeypatch.setattr(memory, "empty", lambda buffer: emptied.append(len(buffer)))
    edge = make_edge()
    counts: list[int] = []

    async def scenario() -> None:
        wire = Wire(edge)
        await begin_upload(wire)
        counts.append(edge._pools.fast_bodies)
        await until(lambda: not edge._pools.fast_bodies)
        assert not wire.closed
        assert emptied == [receiving.PIECE_BYTES]
        while not edge._pools.fast_bodies:
            await send_all(wire, bytes(receiving.LEAST_PIECE_BYTES), at_once=300_000)
        wire.leave()
        await until_aborted()
        counts.append(edge._pools.fast_bodies)

    asyncio.run(scenario())
    assert counts == [1, 0]


def test_a_body_that_comes_slowly_holds_one_small_piece(make_edge, monkeypatch) -> None:
    monkeypatch.setattr(receiving, "FAST_BYTES_PER_S", 1 << 60)
    edge = make_edge()
    content = bytes(8 * receiving.LEAST_PIECE_BYTES)

    async def scenario() -> None:
        wire = Wire(edge)
        wire.send(b"PUT /receive HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content))
        await send_all(wire, content, at_once=300_000)
        await wire.until_written(b"201")

    asyncio.run(scenario())
    assert sum(Recorder.sizes) == len(content)
    assert max(Recorder.sizes) == receiving.LEAST_PIECE_BYTES
    assert Recorder.sizes.count(0) == len(Recorder.sizes) / 2
