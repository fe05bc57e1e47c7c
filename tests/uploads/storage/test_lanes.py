"""A few files at a time are written by other threads, in larger blocks, and in order."""

import contextlib
import errno
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from uploads.storage import lanes as lanes_of_process
from uploads.storage import writing
from uploads.storage.lanes import BLOCK_BYTES as LARGE
from uploads.storage.lanes import Lanes
from uploads.storage.local import LocalSink
from uploads.storage.writing import ALIGNMENT, BlockWriter
from uploads.storage.writing import BLOCK_BYTES as SMALL

CONTENT = os.urandom(SMALL + 3 * LARGE + 1234)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Lanes:
    """One lane, which is free."""
    only = Lanes(1)
    monkeypatch.setattr(writing, "lanes", lambda: only)
    return only


class Disk:
    """Stands before `os.pwrite`: who wrote what, and how it went on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: list[tuple[int, int, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.write)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        assert self.gate.wait(10)
        if self.broken:
            raise OSError(errno.ENOSPC, "No space")
        self.writes.append((offset, len(data), threading.current_thread().name[:7]))
        return self._pwrite(descriptor, data, offset)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def content_of(descriptor: int) -> bytes:
    return os.pread(descriptor, 2 * len(CONTENT), 0)


@pytest.mark.usefixtures("lanes")
def test_whole_pages_of_an_unfinished_large_block_are_written_once(
    descriptor: int, disk: Disk
) -> None:
    end = 4 * SMALL + 5000
    blocks = BlockWriter(descriptor)
    blocks.write(CONTENT[:end])
    blocks.flush()
    assert content_of(descriptor) == CONTENT[:end]
    blocks.write(CONTENT[end : end + 100])
    blocks.flush()
    assert content_of(descriptor) == CONTENT[: end + 100]
    assert [(at, length) for at, length, _ in disk.writes] == [
        (0, SMALL),
        (SMALL, 3 * SMALL + ALIGNMENT),
        (4 * SMALL + ALIGNMENT, 5000 - ALIGNMENT),
        (4 * SMALL + ALIGNMENT, 5000 - ALIGNMENT + 100),
    ]


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("seed", range(5))
def test_what_was_flushed_is_there_and_stays_there(descriptor: int, seed: int) -> None:
    chance = random.Random(seed)
    blocks = BlockWriter(descriptor)
    start = 0
    while start < len(CONTENT):
        end = start + chance.choice([1, ALIGNMENT, 5000, SMALL, SMALL + 77, 3 * SMALL, LARGE])
        blocks.write(CONTENT[start:end])
        if chance.random() < 0.7:
            blocks.flush()
            assert content_of(descriptor) == CONTENT[:end]
        start = end
    blocks.flush()
    assert content_of(descriptor) == CONTENT


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("piece", [1000 * 1000, 77_777, len(CONTENT)])
def test_a_file_goes_on_in_large_blocks_that_another_thread_writes(
    descriptor: int, disk: Disk, piece: int
) -> None:
    blocks = BlockWriter(descriptor)
    for start in range(0, len(CONTENT), piece):
        blocks.write(CONTENT[start : start + piece])
    blocks.flush()
    assert content_of(descriptor) == CONTENT
    here = threading.current_thread().name[:7]
    assert disk.writes == [
        (0, SMALL, here),
        *((SMALL + number * LARGE, LARGE, "writing") for number in range(3)),
        (SMALL + 3 * LARGE, 1234, here),
    ]


@pytest.mark.usefixtures("lanes")
def test_the_caller_goes_on_while_one_block_is_written(descriptor: int, disk: Disk) -> None:
    blocks = BlockWriter(descriptor)
    blocks.write(CONTENT[:SMALL])
    disk.gate.clear()
    blocks.write(CONTENT[SMALL : SMALL + LARGE + 1])
    assert os.fstat(descriptor).st_size == SMALL
    disk.gate.set()
    blocks.write(CONTENT[SMALL + LARGE + 1 :])
    blocks.flush()
    assert content_of(descriptor) == CONTENT


@pytest.mark.usefixtures("lanes")
def test_what_the_disk_refuses_another_thread_is_raised_and_raised_again(
    descriptor: int, disk: Disk
) -> None:
    blocks = BlockWriter(descriptor)
    blocks.write(CONTENT[:SMALL])
    disk.broken = True
    blocks.write(CONTENT[SMALL : SMALL + LARGE])
    with pytest.raises(OSError, match="No space"):
        blocks.write(CONTENT[SMALL + LARGE : SMALL + 2 * LARGE])
    disk.broken = False
    with pytest.raises(OSError, match="No space"):
        blocks.flush()
    blocks.close()


@pytest.mark.usefixtures("lanes")
def test_each_block_that_is_given_to_another_thread_ends_even_if_the_disk_refuses(
    descriptor: int, disk: Disk
) -> None:
    shared: list[int] = []
    blocks = BlockWriter(
        descriptor, begun=lambda: shared.append(1), ended=lambda: shared.append(-1)
    )
    blocks.write(CONTENT[: SMALL + LARGE])
    disk.broken = True
    for _ in range(3):
        with contextlib.suppress(OSError):
            blocks.write(CONTENT[:LARGE])
    blocks.close()
    assert shared.count(1) >= 2
    assert sum(shared) == 0


def test_a_lane_is_free_again_when_its_file_is_closed_or_forgotten(
    descriptor: int, lanes: Lanes, disk: Disk
) -> None:
    first = BlockWriter(descriptor)
    first.write(CONTENT[: SMALL + 1])
    assert lanes.take() is None
    disk.broken = True
    first.write(CONTENT[:LARGE])
    first.close()
    free = lanes.take()
    assert free is not None
    free.leave()
    disk.broken = False
    second = BlockWriter(descriptor)
    second.write(CONTENT[: SMALL + 1])
    assert lanes.take() is None
    del second
    assert lanes.take() is not None


def test_where_there_is_no_memory_no_lane_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    only = Lanes(1)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with monkeypatch.context() as full:
        full.setattr("mmap.mmap", refuse)
        assert only.take() is None
    assert only.take() is not None


@pytest.mark.usefixtures("lanes")
def test_an_upload_that_is_given_up_closes_its_file_after_the_last_write(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    close, write = os.close, disk.write

    def note(descriptor: int) -> None:
        order.append("close")
        close(descriptor)

    def late(descriptor: int, data: memoryview, offset: int) -> int:
        written = write(descriptor, data, offset)
        order.append("written")
        return written

    monkeypatch.setattr(os, "close", note)
    monkeypatch.setattr(os, "pwrite", late)
    sink = LocalSink(tmp_path / "blob")
    sink.write(CONTENT[:SMALL])
    disk.gate.clear()
    sink.write(CONTENT[:LARGE])
    threading.Timer(0.05, disk.gate.set).start()
    sink.abort()
    assert order == ["written", "written", "close"]
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_has_lanes_of_its_own(descriptor: int) -> None:
    assert lanes_of_process.lanes()
    before = BlockWriter(descriptor)
    before.write(CONTENT)
    before.close()
    child = os.fork()
    if not child:
        signal.alarm(10)
        try:
            blocks = BlockWriter(descriptor)
            blocks.write(CONTENT)
            blocks.flush()
        finally:
            os._exit(content_of(descriptor) != CONTENT)
    assert os.waitpid(child, 0)[1] == 0
