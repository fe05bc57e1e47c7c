"""How bytes get to a disk soon, so that making them durable at the end takes no time."""

import os

AHEAD_BYTES = 8 * 1024 * 1024


class WriteBehind:
    """Tells the kernel to begin writing what a file has got, while more of it still arrives.

    Otherwise all of a large file waits in memory for the `fsync` at its end, which then takes as
    long as the disk needs for it. On Linux, POSIX_FADV_DONTNEED begins to write dirty pages without
    waiting for them; elsewhere it does nothing that would harm.
    """

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._told = self._size = offset

    def wrote(self, count: int) -> None:
        """Note that so many bytes were added at the end."""
        self._size += count
        if self._size - self._told >= AHEAD_BYTES and hasattr(os, "posix_fadvise"):
            length = self._size - self._told
            os.posix_fadvise(self._descriptor, self._told, length, os.POSIX_FADV_DONTNEED)
            self._told = self._size
