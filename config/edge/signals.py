"""Hear of a stop when it is asked for.

Servers tell applications through the lifespan protocol only after the last connection is closed,
which a stream of events never is.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_stop_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` in the running loop on SIGINT and SIGTERM, beside what the server does then.

    A signal that the server has no handler for keeps its default effect.
    """
    loop = asyncio.get_running_loop()
    replaced: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            earlier = signal.getsignal(number)
            if callable(earlier):
                replaced[number] = earlier

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        replaced[signal.Signals(number)](number, frame)

    for number in replaced:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in replaced.items():
            signal.signal(number, earlier)
