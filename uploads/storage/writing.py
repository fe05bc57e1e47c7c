"""How the bytes of a file get to the disk: in large blocks, and past the page cache where they can.

A large file is written once and read much later, so a copy in the page cache costs processor time
and pushes out what is needed. Writing directly also spreads the work of the `fsync` at the end over
the time in which the file arrives. What is not a whole block goes through the cache.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from functools import partial

from config import memory
from uploads.storage.lanes import Lane, Write, lanes

BLOCK_BYTES = 256 * 1024  # each file that arrives holds one, and those in a lane larger ones
# What memory, offset and length of a direct write must be a multiple of; no disk asks for more.
# Source: Linux, open(2), "O_DIRECT".
ALIGNMENT = 4096


def _nothing() -> None:
    """Nobody has to know."""


class BlockWriter:
    """Adds to the end of a file, which nobody else writes to meanwhile.

    Bytes are in the file after a `flush`, and durable after an fsync that follows it. Until then a
    block may still be on its way, and the descriptor may be one for direct writes: nobody reads
    through it, and before it is closed comes `close`. What the operating system refuses is raised
    by the call that learns of it.
    """

    def __init__(
        self,
        descriptor: int,
        offset: int = 0,
        *,
        begun: Callable[[], None] = _nothing,
        ended: Callable[[], None] = _nothing,
    ) -> None:
        """Go on at `offset`, the end of the file; if that is not 0, it can be read, too.

        `begun` is called before a block is given to another thread, and `ended` by that thread.
        """
        self._begun, self._ended = begun, ended
        self._descriptor = descriptor
        self._block: mmap.mmap | None = None  # memory of whole pages, so it is aligned
        self._lane: Lane | None = None
        self._filled = offset % ALIGNMENT
        self._at = offset - self._filled  # of the block in the file
        self._flushed = True
        self._can_be_direct = hasattr(os, "O_DIRECT")
        self._is_direct = False

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes; a block that is full is written."""
        rest = memoryview(data)
        while rest:
            block = self._memory()
            piece = rest[: len(block) - self._filled]
            block[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            self._flushed = False
            rest = rest[len(piece) :]
            if self._filled == len(block):
                self._give_away(block)

    def flush(self) -> None:
        """Put everything into the file. What is no whole block is written again with the rest."""
        if self._lane is not None:
            self._lane.wait()
        if not self._flushed and self._filled > BLOCK_BYTES:  # of the larger block of a lane
            self._write_pages(self._memory())
        self._set_direct(False)
        if not self._flushed:
            self._put(self._at, self._memory(), self._filled)
            self._flushed = True

    def close(self) -> None:
        """Wait until nothing is being written, whatever becomes of it; hold no memory any more."""
        self._leave_lane()
        self._set_direct(False)

    def __del__(self) -> None:
        self._leave_lane()

    def _leave_lane(self) -> None:
        if self._lane is not None:
            self._lane.leave()
        self._block = self._lane = None

    def _memory(self) -> mmap.mmap:
        if self._block is None:
            self._block = memory.fresh(BLOCK_BYTES)
            if self._filled:
                self._block[: self._filled] = os.pread(self._descriptor, self._filled, self._at)
        return self._block

    def _give_away(self, full: mmap.mmap) -> None:
        """Write a full block, or have it written, and take an empty one."""
        write = partial(self._write_block, self._at, length=len(full))
        if self._lane is None:
            write(full)
            self._lane = lanes().take()
        else:
            self._begun()
            try:
                self._lane.turn(partial(self._aside, write))
            except BaseException:
                self._ended()
                raise
        if self._lane is not None:
            self._block = self._lane.block
        self._at += len(full)
        self._filled = 0
        self._flushed = True

    def _write_pages(self, block: mmap.mmap) -> None:
        """Write what there is, but for the last bytes, which are no whole page."""
        length = self._filled - self._filled % ALIGNMENT
        self._write_block(self._at, block, length)
        self._at += length
        self._filled -= length
        block[: self._filled] = block[length : length + self._filled]

    def _aside(self, write: Write, block: mmap.mmap) -> None:
        try:
            write(block)
        finally:
            self._ended()

    def _write_block(self, at: int, block: mmap.mmap, length: int) -> None:
        if self._can_be_direct:
            self._can_be_direct = self._put_directly(at, block, length)
        if not self._can_be_direct:
            self._put(at, block, length)
            self._write_early(at, length)

    def _put_directly(self, at: int, block: mmap.mmap, length: int) -> bool:
        """Write past the page cache; return whether the file system can do that."""
        try:
            self._set_direct(True)
            self._put(at, block, length)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._set_direct(False)
            return False
        return True

    def _set_direct(self, wanted: bool) -> None:
        """Have the descriptor write past the page cache, or through it, as it was opened."""
        if wanted != self._is_direct:
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
            changed = flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, changed)
            self._is_direct = wanted

    def _write_early(self, at: int, length: int) -> None:
        """Let the kernel begin to write the block, so that not all is left to the fsync."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, at, length, os.POSIX_FADV_DONTNEED)

    def _put(self, at: int, block: mmap.mmap, length: int) -> None:
        with memoryview(block) as whole:
            written = 0
            while written < length:
                with whole[written:length] as rest:
                    written += os.pwrite(self._descriptor, rest, at + written)
