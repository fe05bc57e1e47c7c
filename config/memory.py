"""Memory for bytes on their way: of whole pages, and nobody else's. Pure."""

import mmap
from contextlib import suppress

HUGE_PAGE_BYTES = 2 * 1024 * 1024


def fresh(size: int) -> mmap.mmap:
    """Return `size` bytes of zeros, aligned to a page; they take no memory before they are used.

    Large memory comes in huge pages where the kernel has them: then using it for the first time,
    and writing it to a disk directly, costs a third of the processor time. A child process does not
    get it, since a disk may be reading it. Source: Linux, madvise(2), open(2).
    """
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # other systems, and kernels that were built without
        memory.madvise(mmap.MADV_DONTFORK)
        if size >= HUGE_PAGE_BYTES:
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def empty(memory: memoryview) -> None:
    """Give what `fresh` memory takes back to the kernel; its content is lost, or zeros."""
    mapped = memory.obj
    if isinstance(mapped, mmap.mmap):
        with suppress(AttributeError, OSError):
            mapped.madvise(mmap.MADV_DONTNEED)
