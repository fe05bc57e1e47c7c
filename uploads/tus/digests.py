"""SHA-256 states of sessions between two requests.

No library exports such a state, so it lives in this process only. Where it is lost, by a restart or
because there are too many, the commit reads the blob once more; see decision 8.
"""

import hashlib
from collections import OrderedDict
from threading import Lock

KEPT = 4096  # some 500 bytes each


class ParkedDigests:
    """The latest states, by session and offset. For any number of threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._states: OrderedDict[str, tuple[int, hashlib._Hash]] = OrderedDict()
        self._lock = Lock()

    def park(self, session_id: str, offset: int, digest: "hashlib._Hash") -> None:
        """Keep the state over the first `offset` bytes."""
        with self._lock:
            self._states[session_id] = offset, digest.copy()
            self._states.move_to_end(session_id)
            if len(self._states) > self._kept:
                self._states.popitem(last=False)

    def at(self, session_id: str, offset: int) -> "hashlib._Hash | None":
        """Return a state over exactly the first `offset` bytes, if there is one."""
        with self._lock:
            known_offset, digest = self._states.get(session_id, (-1, None))
            return digest.copy() if digest is not None and known_offset == offset else None

    def forget(self, session_id: str) -> None:
        """Drop the state of a session that has ended."""
        with self._lock:
            self._states.pop(session_id, None)


digests = ParkedDigests()
