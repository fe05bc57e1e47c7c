"""SHA-256 on another core, while the caller seals and writes the same bytes. Pure.

The hash is the dearest part of taking a file in. hashlib lets other threads run meanwhile, so that
with a free core the hash costs no time of its own.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore, Condition

ASIDE_BYTES = 128 * 1024  # less is hashed before another thread has woken up


class Helpers:
    """Threads that hash: one less than there are cores, since each helps a thread that works."""

    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count) if count else None
        self._pool = ThreadPoolExecutor(max(1, count), "hashing")

    def begin(self, work: Callable[[Callable[[], None]], None]) -> bool:
        """Begin `work` in another thread, which calls what it is given once it needs it no more.

        False: no helper is free.
        """
        if self._free is None or not self._free.acquire(blocking=False):
            return False
        self._pool.submit(work, self._free.release)
        return True


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
        self._pieces: deque[bytes | memoryview] = deque()  # the first is being hashed
        self._moved = Condition()
        self._is_helped = False
        self._error: BaseException | None = None

    @property
    def state(self) -> "hashlib._Hash":
        """Return the state after all pieces that were given."""
        self._wait(0)
        return self._state

    def update(self, data: bytes | memoryview) -> None:
        """Add `data`: a large piece on another core, if one is free, while the caller goes on.

        A helper that still has the piece before goes on with this one, without a pause.
        """
        if self._error is None and len(data) >= ASIDE_BYTES and self._hand_over(data):
            self._wait(1)
        else:
            self.state.update(data)

    def _hand_over(self, data: bytes | memoryview) -> bool:
        with self._moved:
            if not self._is_helped and not self._helpers.begin(self._help):
                return False
            self._is_helped = True
            self._pieces.append(data)
            return True

    def _help(self, release: Callable[[], None]) -> None:
        while True:
            with self._moved:
                data = self._pieces[0]
            try:
                self._state.update(data)
            except BaseException as error:  # noqa: BLE001 - the caller waits, and raises it
                self._error = error
            del data  # or it would stay in memory until the next one has come
            with self._moved:
                self._pieces.popleft()
                if self._error is not None:
                    self._pieces.clear()
                if not self._pieces:
                    self._is_helped = False
                    release()
                self._moved.notify()
                if not self._is_helped:
                    return

    def _wait(self, most: int) -> None:
        """Return when at most so many pieces are left."""
        with self._moved:
            while len(self._pieces) > most:
                self._moved.wait()
        if self._error is not None:
            raise self._error
