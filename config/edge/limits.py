"""What the edge allows: the one reader of `settings.EDGE`."""

from dataclasses import dataclass

from django.conf import settings

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Times in seconds, sizes in bytes. A key of `settings.EDGE` overrides its lower-case name."""

    # Threads that run Django, and how long a request may wait for one before it is refused.
    threads: int = 16
    queue_s: float = 10
    # Threads that write bodies and read content. Few: they do only that, a piece at a time.
    byte_threads: int = 4
    # Bodies that are read whole before Django is asked: of one request, and of all together.
    max_small_body_bytes: int = MIB
    max_small_bodies_bytes: int = 64 * MIB
    # A body that brings nothing for so long is cut, and so is one that brings less than the
    # minimum rate over a whole grace period. Time in which we are the slow ones does not count.
    body_idle_s: float = 30
    body_grace_s: float = 30
    min_bytes_per_s: float = 1024
    # How often the feed is asked while anybody listens, and how often a listener hears that the
    # line is alive and is asked whether they may still listen.
    tick_s: float = 0.1
    heartbeat_s: float = 15
    # What bodies and downloads in flight get when the process is told to stop.
    stop_grace_s: float = 2


def limits() -> Limits:
    """Return what this deployment allows."""
    return Limits(**{name.lower(): value for name, value in settings.EDGE.items()})
