"""Memory for bytes on their way."""

import mmap

import pytest

from config.memory import HUGE_PAGE_BYTES, fresh


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE, 3 * HUGE_PAGE_BYTES + 5])
def test_it_is_empty_and_of_its_size(size: int) -> None:
    memory = fresh(size)
    assert memory[:] == bytes(size)
    memory[size - 1 :] = b"x"
    assert fresh(size)[size - 1 :] == b"\0"


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="the kernel has no huge pages")
def test_only_large_memory_asks_for_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Watched(mmap.mmap):
        def madvise(self, option: int, *_: int) -> None:
            asked.append(option)

    monkeypatch.setattr(mmap, "mmap", Watched)
    fresh(HUGE_PAGE_BYTES - 1)
    assert not asked
    fresh(HUGE_PAGE_BYTES)
    assert asked == [mmap.MADV_HUGEPAGE]
