"""Server-sent events onto the wire, until the client leaves or may no longer listen."""

import asyncio
import logging
import time

from config.edge import frames
from config.edge.errors import RequestTimeout
from config.edge.exchange import Exchange
from config.edge.handover import StreamEvents
from config.edge.hub import Hub, Listener
from config.edge.pools import Pools, submit
from config.edge.wire import Answer

logger = logging.getLogger(__name__)


async def stream(
    exchange: Exchange, wanted: StreamEvents, answer: Answer, hub: Hub, pools: Pools
) -> None:
    """Send the events that `wanted` names, under the status and headers of `answer`.

    The listener joins the hub before the replay is read, so that no event falls between them;
    what comes both ways is sent once. A stream that must end is ended properly, so that a browser
    comes back, and is refused where it may not.
    """
    listener = await hub.join(wanted.channel)
    gone = asyncio.ensure_future(exchange.body.gone())
    gone.add_done_callback(lambda _: listener.close())
    try:
        opening = await submit(
            pools.events,
            exchange.request_id,
            frames.opening,
            wanted.feed,
            wanted.channel,
            wanted.last_event_id,
        )
        await exchange.begin(answer.status, answer.headers, without=frozenset({"content-length"}))
        await exchange.piece(opening.text.encode(), more=True)
        await _follow(exchange, wanted, listener, opening.position, pools)
        await exchange.piece(b"", more=False)
    except RequestTimeout:
        logger.info("a listener stopped reading", extra={"request_id": exchange.request_id})
    finally:
        gone.cancel()
        hub.leave(listener)


async def _follow(
    exchange: Exchange, wanted: StreamEvents, listener: Listener, position: int, pools: Pools
) -> None:
    heartbeat_s = exchange.limits.heartbeat_s
    due = time.monotonic() + heartbeat_s
    while not listener.closed:
        events = await listener.take(max(0.0, due - time.monotonic()))
        news = frames.encode(event for event in events if event.id > position)
        if news and not listener.closed:
            await exchange.piece(news.encode(), more=True)
        if time.monotonic() >= due and not listener.closed:
            if not await _may_listen(exchange, wanted, pools):
                return
            await exchange.piece(frames.HEARTBEAT.encode(), more=True)
            due = time.monotonic() + heartbeat_s


async def _may_listen(exchange: Exchange, wanted: StreamEvents, pools: Pools) -> bool:
    """Ask; who cannot be vouched for may not."""
    try:
        return await submit(pools.pages, exchange.request_id, wanted.still_allowed)
    except Exception:
        logger.exception("a listener could not be checked")
        return False
