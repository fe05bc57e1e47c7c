"""Memory for bytes on their way."""

import errno
import mmap

import pytest

from config.memory import HUGE_PAGE_BYTES, fresh


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
    asked: list[int] = []

    class Watched(mmap.mmap):
        def madvise(self, option: int, *_: int) -> None:
            if option == 14:
                asked.append(len(self))
                if refused:
                    raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Watched)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 14, raising=False)
    monkeypatch.setattr(mmap, "MADV_DONTFORK", 10, raising=False)
    sizes = [HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES]
    assert [len(fresh(size)) for size in sizes] == sizes
    assert asked == [HUGE_PAGE_BYTES]
