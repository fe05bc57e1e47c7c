"""A large file goes to the disk while it arrives, in whole blocks, past the page cache."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uploads.storage import writing
from uploads.storage.lanes import Lanes
from uploads.storage.writing import ALIGNMENT, BLOCK_BYTES, BlockWriter

CONTENT = os.urandom(3 * BLOCK_BYTES + 1234)
Write = tuple[int, int, bool]  # offset, length, past the cache


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


@pytest.fixture(autouse=True)
def _crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a file in every lane already."""
    all_lanes = Lanes(1)
    all_lanes.take()
    monkeypatch.setattr(writing, "lanes", lambda: all_lanes)


def content_of(descriptor: int) -> bytes:
    return os.pread(descriptor, 2 * len(CONTENT), 0)


def is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """What is written; nothing here depends on whether the file system can do it directly."""
    seen: list[Write] = []
    pwrite = os.pwrite

    def record(descriptor: int, data: memoryview, offset: int) -> int:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        seen.append((offset, len(data), bool(flags & os.O_DIRECT)))
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        try:
            return pwrite(descriptor, data, offset)
        finally:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)

    monkeypatch.setattr(os, "pwrite", record)
    return seen


def test_whole_blocks_go_past_the_cache_and_the_rest_through_it(
    descriptor: int, writes: list[Write]
) -> None:
    blocks = BlockWriter(descriptor)
    for start in range(0, len(CONTENT), 300_000):
        blocks.write(CONTENT[start : start + 300_000])
    blocks.flush()
    blocks.flush()
    assert content_of(descriptor) == CONTENT
    assert writes == [
        *((number * BLOCK_BYTES, BLOCK_BYTES, True) for number in range(3)),
        (3 * BLOCK_BYTES, 1234, False),
    ]
    assert not is_direct(descriptor)


@pytest.mark.parametrize("offset", [1, ALIGNMENT, ALIGNMENT + 1, BLOCK_BYTES, BLOCK_BYTES + 77])
def test_a_file_goes_on_at_any_offset_in_aligned_writes(
    descriptor: int, writes: list[Write], offset: int
) -> None:
    first = BlockWriter(descriptor)
    first.write(CONTENT[:offset])
    first.flush()
    writes.clear()
    second = BlockWriter(descriptor, offset)
    second.write(CONTENT[offset:])
    second.flush()
    assert content_of(descriptor) == CONTENT
    assert [at % ALIGNMENT for at, _, _ in writes] == [0] * len(writes)
    assert {length for _, length, direct in writes if direct} == {BLOCK_BYTES}


def test_what_was_flushed_is_there_and_stays_there(descriptor: int) -> None:
    blocks = BlockWriter(descriptor)
    for end in (10, 5000, BLOCK_BYTES, BLOCK_BYTES + 1, len(CONTENT)):
        blocks.write(CONTENT[len(content_of(descriptor)) : end])
        blocks.flush()
        assert content_of(descriptor) == CONTENT[:end]


@pytest.mark.parametrize("leave", [BlockWriter.flush, BlockWriter.close])
def test_who_comes_next_finds_the_descriptor_as_it_was_opened(
    descriptor: int, writes: list[Write], leave: Callable[[BlockWriter], None]
) -> None:
    blocks = BlockWriter(descriptor)
    blocks.write(CONTENT[: 2 * BLOCK_BYTES])  # no rest, which would have to be written
    assert [direct for _, _, direct in writes] == [True, True]
    leave(blocks)
    assert not is_direct(descriptor)


def failing_directly(number: int) -> Callable[[int, memoryview, int], int]:
    pwrite = os.pwrite

    def fail(descriptor: int, data: memoryview, offset: int) -> int:
        if is_direct(descriptor):
            raise OSError(number, os.strerror(number))
        return pwrite(descriptor, data, offset)

    return fail


def test_a_file_system_that_cannot_do_it_is_asked_once_and_begins_to_write_early(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    asked: list[int] = []
    set_flags = fcntl.fcntl

    def record(descriptor: int, command: int, *flags: int) -> int:
        asked.extend(value for value in flags if value & os.O_DIRECT)
        return set_flags(descriptor, command, *flags)

    monkeypatch.setattr(os, "posix_fadvise", lambda _fd, at, length, _: told.append((at, length)))
    monkeypatch.setattr(os, "pwrite", failing_directly(errno.EINVAL))
    monkeypatch.setattr(fcntl, "fcntl", record)
    blocks = BlockWriter(descriptor)
    blocks.write(CONTENT)
    blocks.flush()
    assert content_of(descriptor) == CONTENT
    assert told == [(number * BLOCK_BYTES, BLOCK_BYTES) for number in range(3)]
    assert len(asked) == 1


def test_a_full_disk_is_no_reason_to_try_another_way(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", failing_directly(errno.ENOSPC))
    blocks = BlockWriter(descriptor)
    with pytest.raises(OSError, match="No space") as refused:
        blocks.write(CONTENT)
    assert refused.value.errno == errno.ENOSPC
    assert content_of(descriptor) == b""
