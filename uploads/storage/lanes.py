"""Writing on another thread, while the caller fills the next block. Pure.

A direct write waits for the disk and takes next to no processor time; a file that arrives fast
should not wait with it. Only a few files can be so fast at a time, and only they get the memory.
"""

import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore

from config import memory

LANES = min(2, max(1, (os.cpu_count() or 1) // 2))  # a lane brings nothing while cores are busy
BLOCK_BYTES = 4 * 1024 * 1024  # two in each lane; half of it costs a sixth of a fast upload's speed

Write = Callable[[mmap.mmap], None]


class Lane:
    """Two blocks for one file: one is being filled, one is being written."""

    def __init__(self, pool: ThreadPoolExecutor, give_back: Callable[[], None]) -> None:
        """Take the memory; `Lanes.take` is the way to here."""
        self.block = memory.fresh(BLOCK_BYTES)
        self._other = memory.fresh(BLOCK_BYTES)
        self._pool = pool
        self._give_back = give_back
        self._writing: Future[None] | None = None

    def turn(self, write: Write) -> None:
        """Begin `write` of the full block, after the one before; `block` is then the other one.

        Raises:
            OSError: what the write before raised. It is raised again by whatever follows.
        """
        self.wait()
        self._writing = self._pool.submit(write, self.block)
        self.block, self._other = self._other, self.block

    def wait(self) -> None:
        """Return when nothing is being written; what a write raised is raised here."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def settle(self) -> None:
        """Return when nothing is being written, whatever became of it."""
        if self._writing is not None:
            self._writing.exception()

    def leave(self) -> None:
        """Settle, and let another file in."""
        self.settle()
        self._give_back()


class Lanes:
    """The lanes of one process, and their threads."""

    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count)
        self._pool = ThreadPoolExecutor(count, "writing")

    def take(self) -> Lane | None:
        """Return a lane, to be left once; None where all are taken, or memory is."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            return Lane(self._pool, self._free.release)
        except OSError:
            self._free.release()
            return None


@cache
def lanes() -> Lanes:
    """Return the lanes of this process."""
    return Lanes(LANES)


os.register_at_fork(after_in_child=lanes.cache_clear)  # threads do not survive a fork
