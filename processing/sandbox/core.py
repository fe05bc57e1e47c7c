"""One processor for a worker and its child while they take turns.

Whoever hands over sleeps until the other one has answered. On two processors each change wakes an
idle one up, which takes longer than a small step; on one it is a plain change of tasks.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

CAN_PIN = hasattr(os, "sched_setaffinity") and hasattr(os, "memfd_create")  # Linux

# One byte for each processor, which the worker that keeps it has locked. The kernel lets go of the
# locks of who dies. Forked workers share the file.
_KEPT = os.memfd_create("processors") if CAN_PIN else -1
_ALL = os.sched_getaffinity(0) if CAN_PIN else set()


class Core:
    """Keeps the calling thread and one process on a processor that no other worker has."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._allowed: set[int] = set()
        self._pid = 0
        self._has_asked = False

    def share_with(self, pid: int) -> None:
        """Stay with the process `pid`, instead of the one before, if a processor is free."""
        if pid == self._pid or not CAN_PIN:
            return
        if not self._has_asked:
            self._has_asked = True
            self._take()
        if self._number is not None:
            self._let(self._allowed)
            self._pid = pid
            self._let({self._number})

    def leave(self) -> None:
        """Let both run where they like, until they share again."""
        self._has_asked = False
        if self._number is None:
            return
        self._let(self._allowed)
        os.sched_setaffinity(0, self._allowed)
        fcntl.lockf(_KEPT, fcntl.LOCK_UN, 1, self._number)
        self._number, self._pid = None, 0

    def _take(self) -> None:
        self._allowed = os.sched_getaffinity(0)
        here = _processor_of_this_thread()
        for number in sorted(self._allowed, key=lambda each: each != here):
            with suppress(OSError):  # another worker keeps it
                fcntl.lockf(_KEPT, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                os.sched_setaffinity(0, {number})
                self._number = number
                return

    def _let(self, processors: set[int]) -> None:
        with suppress(OSError):  # it has ended
            if self._pid:
                os.sched_setaffinity(self._pid, processors)


def let_roam(pid: int) -> None:
    """Let a process run where this one could when it began, whatever it keeps to by now."""
    if CAN_PIN:
        os.sched_setaffinity(pid, _ALL)


def _processor_of_this_thread() -> int:
    # Source: proc(5), /proc/PID/stat, (39) processor; the name in (2) may contain anything.
    fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
    return int(fields[39 - 3])
