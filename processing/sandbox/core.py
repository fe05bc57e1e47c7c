"""One processor for a worker and its child while they take turns. Linux only.

Whoever hands over sleeps until the other one has answered. On two processors each change wakes an
idle one up, which takes longer than a small step; on one it is a plain change of tasks.

It is an attempt: where the kernel refuses, both run where they like.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def _locks() -> int:
    """Return a file with one byte for each processor, locked by the worker that keeps it.

    The kernel lets go of the locks of who dies. Forked workers share the file, so it is those of
    one cluster that keep out of each other's way. -1: there is none.
    """
    with suppress(AttributeError, OSError):
        return os.memfd_create("processors")
    return -1


_KEPT = _locks()


class Core:
    """Keeps the calling thread and one process together. For one thread of a process.

    Threads and processes that are begun meanwhile would be kept for ever: `leave` comes first.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        """Make one that keeps nothing yet, or, without `keeps`, never does."""
        self._keeps = keeps and _KEPT >= 0
        self._number: int | None = None
        self._allowed: set[int] = set()
        self._pid = 0
        self._has_asked = False

    def share_with(self, pid: int) -> None:
        """Stay with the process `pid` from now on, if a processor is to be had."""
        if pid == self._pid or not self._keeps:
            return
        if not self._has_asked:
            self._has_asked = True
            with suppress(OSError):
                self._take()
        if self._number is not None:
            self._pid = pid
            with suppress(OSError):
                os.sched_setaffinity(pid, {self._number})

    def forget(self) -> None:
        """Take note that the process is ending: its number may soon be another one's."""
        self._pid = 0

    def leave(self) -> None:
        """Let both run where they like, until they share again."""
        self._has_asked = False
        if self._number is None:
            return
        number, pid = self._number, self._pid
        self._number, self._pid = None, 0
        for each in (pid, 0) if pid else (0,):
            with suppress(OSError):
                os.sched_setaffinity(each, self._allowed)
        with suppress(OSError):
            fcntl.lockf(_KEPT, fcntl.LOCK_UN, 1, number)

    def _take(self) -> None:
        self._allowed = os.sched_getaffinity(0)
        if len(self._allowed) < 2:
            return
        here = _processor()
        for number in sorted(self._allowed, key=lambda each: each != here):
            try:
                fcntl.lockf(_KEPT, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:  # another worker keeps it
                continue
            self._number = number
            try:
                os.sched_setaffinity(0, {number})
            except OSError:
                self.leave()
                raise
            return


def _processor() -> int:
    """Return where the calling thread runs."""
    # Source: proc(5), /proc/PID/stat, (39) processor; the name in (2) may contain anything.
    fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
    return int(fields[39 - 3])
