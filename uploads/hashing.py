"""SHA-256 on another core, while the caller seals and writes the same bytes. Pure.

The hash is the dearest part of taking a file in. hashlib lets other threads run meanwhile, so that
with a free core the hash costs no time of its own.
"""

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore

ASIDE_BYTES = 128 * 1024  # less is hashed before another thread has woken up


class Helpers:
    """Threads that hash: one less than there are cores, since each helps a thread that works."""

    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count) if count else None
        self._pool = ThreadPoolExecutor(max(1, count), "hashing")

    def begin(self, state: "hashlib._Hash", data: bytes | memoryview) -> Future[None] | None:
        """Begin to add `data` to `state`; return what tells of the end. None: no helper is free."""
        if self._free is None or not self._free.acquire(blocking=False):
            return None
        return self._pool.submit(self._add, self._free, state, data)

    @staticmethod
    def _add(free: BoundedSemaphore, state: "hashlib._Hash", data: bytes | memoryview) -> None:
        try:
            state.update(data)
        finally:
            free.release()


@cache
def _helpers() -> Helpers:
    """Return the helpers of this process."""
    return Helpers((os.cpu_count() or 1) - 1)


os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


class Hash:
    """The SHA-256 of a stream. Its last piece may still be on its way into it.

    A piece must not be changed before the next call has returned. Not for two threads at once.
    """

    def __init__(
        self, state: "hashlib._Hash | None" = None, helpers: Helpers | None = None
    ) -> None:
        """Begin, or go on from `state`, with the helpers of this process or others."""
        self._state = hashlib.sha256() if state is None else state
        self._helpers = helpers or _helpers()
        self._behind: Future[None] | None = None

    @property
    def state(self) -> "hashlib._Hash":
        """Return the state after all pieces that were given."""
        if self._behind is not None:
            self._behind.result()
            self._behind = None
        return self._state

    def update(self, data: bytes | memoryview) -> None:
        """Add `data`: a large piece on another core, if one is free, while the caller goes on."""
        state = self.state
        if len(data) >= ASIDE_BYTES:
            self._behind = self._helpers.begin(state, data)
        if self._behind is None:
            state.update(data)
