"""What the Linux kernel tells of changed folders. Pure."""

import errno
import logging
from collections.abc import Iterable

from inotify_simple import INotify, flags

logger = logging.getLogger(__name__)

# Of what is created, only folders matter: a file matters once it is closed or moved in.
WANTED = flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE


class Inotify:
    """One queue of events for all folders."""

    def __init__(self) -> None:
        self._queue = INotify()
        self._topics: dict[int, str] = {}

    def watch(self, descriptor: int, topic: str) -> None:
        """Notice what becomes complete in the open folder; doing it again changes nothing."""
        try:
            # By descriptor: the name may lead elsewhere by now.
            wd = self._queue.add_watch(f"/proc/self/fd/{descriptor}", WANTED | flags.ONLYDIR)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            logger.warning("too many folders to watch: what is in the others is found later")
        else:
            self._topics[wd] = topic

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        changed = set()
        lost = False
        for event in self._queue.read(timeout=int(timeout_s * 1000)):
            if event.mask & flags.Q_OVERFLOW:
                lost = True
            elif event.mask & flags.IGNORED:
                self._topics.pop(event.wd, None)
            elif not event.mask & flags.CREATE or event.mask & flags.ISDIR:
                changed.add(self._topics.get(event.wd, ""))
        return None if lost else changed

    def polled(self, topic: str) -> str:  # noqa: ARG002
        return ""

    def close(self) -> None:
        """Stop listening."""
        self._queue.close()
