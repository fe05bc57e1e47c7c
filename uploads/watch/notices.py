"""How the watcher learns that something in a folder has changed. Pure."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from uploads.watch.file_systems import silent_file_system

logger = logging.getLogger(__name__)

AUTO, ON, OFF = POLLING_MODES = ("auto", "on", "off")
EVERYWHERE = "any"  # in place of the name of a file system: all are polled


class Notices(Protocol):
    """Hints, no more: what lies in the folders is read from the folders."""

    def watch(self, descriptor: int, topic: str) -> None:
        """Notice from now on what becomes complete in the open folder."""
        ...

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        """Return the topics of the folders that changed; None if it may be any of them."""
        ...

    def polled(self, topic: str) -> str:
        """Return because of which file system its folders are looked at again and again."""
        ...

    def close(self) -> None: ...


def best_notices(mode: str, pause_s: float) -> Notices:
    """Return the kernel's own, with polling where it would not hear of everything.

    `mode` is one of `POLLING_MODES`; folders are polled every `pause_s` seconds.
    """
    if mode == ON:
        return Polling(pause_s)
    try:
        from uploads.watch.inotify import Inotify  # noqa: PLC0415 - Linux only

        events = Inotify()
    except (ImportError, OSError):
        logger.warning("the system tells nothing of changed folders: they are polled")
        return Polling(pause_s)
    return events if mode == OFF else ByFileSystem(events, pause_s)


class Polling:
    """Whatever is watched may have changed, every `pause_s` seconds."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._told_at = -math.inf

    def watch(self, descriptor: int, topic: str) -> None:
        """Nothing to do."""

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        time.sleep(timeout_s)
        if time.monotonic() - self._told_at < self._pause_s:
            return ()
        self._told_at = time.monotonic()
        return None

    def polled(self, topic: str) -> str:  # noqa: ARG002
        return EVERYWHERE

    def close(self) -> None:
        """Nothing to do."""


class ByFileSystem:
    """Events for all folders, and polling for those on a file system that may keep silent.

    Also there an event may come, for what is changed on this machine; it is the faster.
    """

    def __init__(
        self,
        events: Notices,
        pause_s: float,
        silent: Callable[[int], str] = silent_file_system,
    ) -> None:
        self._events = events
        self._pause_s = pause_s
        self._silent = silent
        self._polled: dict[str, str] = {}
        self._told_at = -math.inf

    def watch(self, descriptor: int, topic: str) -> None:
        if name := self._silent(descriptor):
            if topic not in self._polled:
                logger.info("drop folder is polled", extra={"file_system": name})
            self._polled[topic] = name
        self._events.watch(descriptor, topic)

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        changed = self._events.wait(timeout_s)
        if changed is None or time.monotonic() - self._told_at < self._pause_s:
            return changed
        self._told_at = time.monotonic()
        return {*changed, *self._polled}

    def polled(self, topic: str) -> str:
        return self._polled.get(topic, "")

    def close(self) -> None:
        self._events.close()
