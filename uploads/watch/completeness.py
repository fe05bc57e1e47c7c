"""Is a file in a drop folder complete, or is somebody still writing it? Pure."""

import errno
import fcntl
import os
import stat
import time

from uploads.watch.file_systems import has_writers_elsewhere

# A file that says nothing of being complete must have been left alone for so long.
QUIET_S = 5.0
FORGOTTEN_S = 120.0
# Names that programs give to files they are still writing, and rename at the end.
TEMPORARY_PREFIXES = (".", "~")
TEMPORARY_SUFFIXES = ("~", ".crdownload", ".download", ".filepart", ".part", ".partial", ".tmp")

_READ_WITHOUT_WAITING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(name: str, *, folder: int) -> int | None:
    """Open `name` in the folder with that descriptor; None if it is not a regular file.

    Neither follows a link nor waits for the other end of a pipe. What it is, is asked of the
    opened file itself, since a name may mean another file a moment later.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    try:
        descriptor = os.open(name, _READ_WITHOUT_WAITING, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket or a device
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


class Stillness:
    """How long files have been left alone, by our own clock: a file server has another one."""

    def __init__(self) -> None:
        # By path: the state, since when it is the same, and when it was looked at.
        self._seen: dict[tuple[str, ...], tuple[tuple[int, ...], float, float]] = {}
        self._most = 1000

    def left_alone_s(self, path: tuple[str, ...], status: os.stat_result) -> float:
        """Return for how many seconds nothing has been seen to happen to a file."""
        now = time.monotonic()
        state = status.st_size, status.st_mtime_ns, status.st_ctime_ns  # SSHFS numbers files anew
        before, since, _ = self._seen.get(path, (None, now, now))
        if before != state:
            since = now
        self._seen[path] = state, since, now
        if len(self._seen) > self._most:  # files that were taken, or taken away
            seen = self._seen.items()
            self._seen = {key: last for key, last in seen if now - last[2] < FORGOTTEN_S}
            self._most = max(1000, 2 * len(self._seen))
        return now - since


def is_complete(path: tuple[str, ...], descriptor: int, stillness: Stillness) -> bool:
    """Tell whether the open file can be taken now. `path` leads to it in its drop folder."""
    name = path[-1]
    status = os.fstat(descriptor)
    writing = _is_being_written(descriptor)
    if writing or _is_locked(descriptor):
        return False
    if has_writers_elsewhere(descriptor):  # also where a lease was granted: FUSE knows no better
        return stillness.left_alone_s(path, status) >= QUIET_S
    nothing_suspect = (
        status.st_size > 0
        and not name.startswith(TEMPORARY_PREFIXES)
        and not name.lower().endswith(TEMPORARY_SUFFIXES)
    )
    if writing is False and nothing_suspect:
        return True
    # The time of the last change of any kind; a time in the future says as little as an old one.
    return abs(time.time() - status.st_ctime) >= QUIET_S


def _is_being_written(descriptor: int) -> bool | None:
    """Tell whether anybody has the file open for writing; None where the system cannot say.

    A read lease is granted only on a file that nobody writes (Linux, fcntl(2), F_SETLEASE).
    Whoever opens the file while it is held would be announced by SIGIO: ignore that signal.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # not our file, or a file system without leases
        return None
    return False


def _is_locked(descriptor: int) -> bool:
    """Tell whether a program has locked the file: it is not done with it, written or not.

    Both kinds of locks are asked for (Linux, flock(2) and fcntl(2)); on some file systems they are
    one. A file system without locks says nothing.
    """
    for lock in (fcntl.flock, fcntl.lockf):
        try:
            lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            lock(descriptor, fcntl.LOCK_UN)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return True
    return False
