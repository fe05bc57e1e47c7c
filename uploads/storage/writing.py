"""How the bytes of a file get to the disk: in large blocks, and past the page cache where they can.

A large file is written once and read much later, so a copy in the page cache costs processor time
and pushes out what is needed. Writing directly also spreads the work of the `fsync` at the end over
the time in which the file arrives. What is not a whole block goes through the cache.
"""

import errno
import fcntl
import mmap
import os

BLOCK_BYTES = 256 * 1024  # each file that arrives holds one
# What memory, offset and length of a direct write must be a multiple of; no disk asks for more.
# Source: Linux, open(2), "O_DIRECT".
ALIGNMENT = 4096


class BlockWriter:
    """Adds to the end of a file, which nobody else writes to meanwhile.

    Bytes are in the file after a `flush`, and durable after an fsync that follows it.
    """

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        """Go on at `offset`, the end of the file; if that is not 0, it can be read, too."""
        self._descriptor = descriptor
        self._block: mmap.mmap | None = None  # memory of whole pages, so it is aligned
        self._filled = offset % ALIGNMENT
        self._at = offset - self._filled  # of the block in the file
        self._flushed = True
        self._direct = hasattr(os, "O_DIRECT")

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes; a block that is full is written."""
        rest = memoryview(data)
        while rest:
            block = self._memory()
            piece = rest[: BLOCK_BYTES - self._filled]
            block[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            self._flushed = False
            rest = rest[len(piece) :]
            if self._filled == BLOCK_BYTES:
                self._write_block()

    def flush(self) -> None:
        """Put everything into the file. What is no whole block is written again with the rest."""
        if not self._flushed:
            self._put()
            self._flushed = True

    def _memory(self) -> mmap.mmap:
        if self._block is None:
            self._block = mmap.mmap(-1, BLOCK_BYTES)
            if self._filled:
                self._block[: self._filled] = os.pread(self._descriptor, self._filled, self._at)
        return self._block

    def _write_block(self) -> None:
        if self._direct:
            self._direct = self._put_directly()
        if not self._direct:
            self._put()
            self._write_behind()
        self._at += BLOCK_BYTES
        self._filled = 0
        self._flushed = True

    def _put_directly(self) -> bool:
        """Write past the page cache; return whether the file system can do that."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
            self._put()
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
        return True

    def _write_behind(self) -> None:
        """Let the kernel begin to write the block, so that not all is left to the fsync."""
        if hasattr(os, "posix_fadvise"):
            advice = os.POSIX_FADV_DONTNEED
            os.posix_fadvise(self._descriptor, self._at, BLOCK_BYTES, advice)

    def _put(self) -> None:
        with memoryview(self._memory()) as block:
            written = 0
            while written < self._filled:
                with block[written : self._filled] as rest:
                    written += os.pwrite(self._descriptor, rest, self._at + written)
