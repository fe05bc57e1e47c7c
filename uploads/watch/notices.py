"""How the watcher learns that something in a folder has changed. Pure."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol

logger = logging.getLogger(__name__)

POLL_PAUSE_S = 2.0


class Notices(Protocol):
    """Hints, no more: what lies in the folders is read from the folders."""

    def watch(self, descriptor: int, topic: str) -> None:
        """Notice from now on what becomes complete in the open folder."""
        ...

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        """Return the topics of the folders that changed; None if it may be any of them."""
        ...

    def close(self) -> None: ...


def best_notices() -> Notices:
    """Return the kernel's own where there are any."""
    try:
        from uploads.watch.inotify import Inotify  # noqa: PLC0415 - Linux only

        return Inotify()
    except (ImportError, OSError):
        logger.warning("the system tells nothing of changed folders: looking every 2 s instead")
        return Polling()


class Polling:
    """For systems that tell nothing: whatever is watched may have changed."""

    def __init__(self) -> None:
        self._told_at = 0.0

    def watch(self, descriptor: int, topic: str) -> None:
        """Nothing to do."""

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        time.sleep(timeout_s)
        if time.monotonic() - self._told_at < POLL_PAUSE_S:
            return ()
        self._told_at = time.monotonic()
        return None

    def close(self) -> None:
        """Nothing to do."""
