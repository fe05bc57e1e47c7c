"""Hashing on another core, while the caller seals and writes the same bytes. Pure.

SHA-256 is the dearest part of taking a file in. hashlib lets other threads run meanwhile, so that
with a free core the hash costs no time of its own.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import BoundedSemaphore

ASIDE_BYTES = 128 * 1024  # less is hashed before another thread has woken up


class Helpers:
    """Threads that hash: one less than there are cores, since each helps a thread that works."""

    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count) if count else None
        self._pool = ThreadPoolExecutor(max(1, count), "hashing")

    @contextmanager
    def hashing(self, digest: "hashlib._Hash", data: bytes | memoryview) -> Iterator[None]:
        """Add `data` to `digest` while the caller goes on; it is done when the block ends.

        Where no helper is free, it is done at once.
        """
        free = self._free
        if free is None or len(data) < ASIDE_BYTES or not free.acquire(blocking=False):
            digest.update(data)
            yield
            return
        try:
            hashed = self._pool.submit(digest.update, data)
            try:
                yield
            finally:
                hashed.result()
        finally:
            free.release()


@cache
def _helpers() -> Helpers:
    """Return the helpers of this process."""
    return Helpers((os.cpu_count() or 1) - 1)


os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


def hashing(digest: "hashlib._Hash", data: bytes | memoryview) -> AbstractContextManager[None]:
    """Add `data` to `digest` while the caller goes on; it is done when the block ends."""
    return _helpers().hashing(digest, data)
