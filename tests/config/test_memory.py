"""Memory for bytes on their way."""

import errno
import mmap
from pathlib import Path

import pytest

from config.memory import HUGE_PAGE_BYTES, empty, fresh


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE, 3 * HUGE_PAGE_BYTES + 5])
def test_it_is_empty_and_of_its_size(size: int) -> None:
    memory = fresh(size)
    assert memory[:] == bytes(size)
    memory[size - 1 :] = b"x"
    assert fresh(size)[size - 1 :] == b"\0"


@pytest.mark.parametrize("refused", [False, True])
def test_only_large_memory_asks_for_huge_pages_and_lives_without(
    monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    asked: list[tuple[int, str]] = []

    class Watched(mmap.mmap):
        def madvise(self, option: object, *_: int) -> None:
            asked.append((len(self), str(option)))
            if refused:
                raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Watched)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", "huge", raising=False)
    monkeypatch.setattr(mmap, "MADV_DONTFORK", "no fork", raising=False)
    small, large = HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES
    assert [len(fresh(size)) for size in (small, large)] == [small, large]
    wanted = [(small, "no fork"), (large, "no fork"), (large, "huge")]
    assert asked == (wanted[:2] if refused else wanted)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel does not tell")
def test_what_is_emptied_takes_no_memory() -> None:
    memory = memoryview(fresh(4 * HUGE_PAGE_BYTES))
    before = resident_bytes()
    memory[:] = b"x" * len(memory)
    assert resident_bytes() - before >= 3 * HUGE_PAGE_BYTES
    empty(memory)
    assert resident_bytes() - before < HUGE_PAGE_BYTES
    memory[-1:] = b"y"
    assert bytes(memory[-1:]) == b"y"


def resident_bytes() -> int:
    """Return what the private mappings of this process take."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))
