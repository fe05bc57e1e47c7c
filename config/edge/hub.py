"""One question to the feed a tick, however many listen."""

import asyncio
import logging
from collections import defaultdict, deque

from config.edge.frames import Event, Feed
from config.edge.limits import Limits
from config.edge.pools import Pools, submit

BATCH_EVENTS = 500  # the most that one tick takes from the feed
QUEUE_EVENTS = 256  # a listener that is further behind is dropped, and comes back with its last id
PAUSE_S = 1.0  # after a failed question, so that a broken database is not hammered

logger = logging.getLogger(__name__)


class Listener:
    """What one stream still has to send."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.closed = False
        self._queue: deque[Event] = deque()
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add `event`, or drop the listener if it is too far behind."""
        if len(self._queue) >= QUEUE_EVENTS:
            self.close()
        else:
            self._queue.append(event)
            self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._wake.set()

    async def take(self, patience_s: float) -> list[Event]:
        """Return all that waits; nothing if nothing came in time or the listener is closed."""
        try:
            async with asyncio.timeout(patience_s):
                await self._wake.wait()
        except TimeoutError:
            return []
        self._wake.clear()
        events = list(self._queue)
        self._queue.clear()
        return [] if self.closed else events


class Hub:
    """The listeners of one feed. Asks the feed only while there are any."""

    def __init__(self, feed: Feed, pools: Pools, limits: Limits) -> None:
        self._feed = feed
        self._pools = pools
        self._limits = limits
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._ready: asyncio.Future[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    async def join(self, channel: str) -> Listener:
        """Return a listener that gets every event of `channel` that appears from now on."""
        listener = Listener(channel)
        self._listeners[channel].add(listener)
        if self._polling is None or self._polling.done():
            self._ready = asyncio.get_running_loop().create_future()
            self._polling = asyncio.ensure_future(self._poll(self._ready))
        if self._ready is not None:
            await asyncio.shield(self._ready)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget `listener`."""
        listeners = self._listeners[listener.channel]
        listeners.discard(listener)
        if not listeners:
            del self._listeners[listener.channel]

    def close(self) -> None:
        """End all streams."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()

    async def _poll(self, ready: "asyncio.Future[None]") -> None:
        position: int | None = None
        while self._listeners:
            try:
                if position is None:
                    position = await submit(self._pools.events, "hub", self._feed.latest)
                    ready.set_result(None)
                position = await self._tick(position)
            except Exception:
                logger.exception("a feed of events could not be read")
                await asyncio.sleep(PAUSE_S)
        if not ready.done():
            ready.set_result(None)

    async def _tick(self, position: int) -> int:
        events = await submit(self._pools.events, "hub", self._feed.after, position, BATCH_EVENTS)
        for event in events:
            for listener in tuple(self._listeners.get(event.channel, ())):
                listener.put(event)
        if len(events) < BATCH_EVENTS:
            await asyncio.sleep(self._limits.tick_s)
        return events[-1].id if events else position
