"""Server-sent events as text, and what a listener hears first. Pure.

Source: WHATWG HTML, section 9.2, server-sent events.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

CONTENT_TYPE = "text/event-stream"
HEARTBEAT = ":\n\n"
RETRY_MS = 2000  # how long a browser waits before it comes back
REPLAY_EVENTS = 500  # whoever missed more reads the state anew, which is cheaper for both


@dataclass(frozen=True)
class Event:
    """Something that the listeners of `channel` are told. Ids grow."""

    id: int
    name: str
    data: str
    channel: str


class Feed(Protocol):
    """Where events come from.

    Once an event was returned, none with a smaller id may appear later: the edge reads each id
    range once.
    """

    def latest(self) -> int:
        """Return the id of the newest event, 0 if there is none."""
        ...

    def after(self, cursor: int, limit: int, channel: str | None = None) -> list[Event]:
        """Return the first `limit` events behind `cursor` by id, of one channel or of all."""
        ...


@dataclass(frozen=True)
class Opening:
    """The first text of a stream, and the id up to which it tells everything."""

    text: str
    position: int


def encode(events: Iterable[Event]) -> str:
    """Return `events` as they stand in a stream."""
    return "".join(_block(event.id, event.name, event.data) for event in events)


def _block(position: int, name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"id: {position}\nevent: {''.join(name.splitlines())}\n{lines}\n"


def opening(feed: Feed, channel: str, last_event_id: str | None) -> Opening:
    """Return what a listener is told first: where the stream stands, and what they missed.

    One who missed too much, or who comes from a future that this feed does not know, is sent the
    event `reset`: read the state anew.
    """
    latest = feed.latest()
    # An id alone is no event, but a browser keeps it for its next Last-Event-ID.
    greeting = f"retry: {RETRY_MS}\nid: {{}}\n\n"
    if not last_event_id:
        return Opening(greeting.format(latest), latest)
    known = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else None
    if known is not None and known <= latest:
        missed = feed.after(known, REPLAY_EVENTS + 1, channel)
        if len(missed) <= REPLAY_EVENTS:
            position = missed[-1].id if missed else known
            return Opening(greeting.format(known) + encode(missed), position)
    return Opening(greeting.format(latest) + _block(latest, "reset", "{}"), latest)
