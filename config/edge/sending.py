"""From a source onto the wire: one piece is read while the one before it is sent."""

import asyncio
import logging

from config.edge.errors import RequestTimeout
from config.edge.exchange import Exchange
from config.edge.handover import SendContent, SendPieces, close, offsets, read_piece
from config.edge.pools import Pools, submit
from config.edge.wire import Answer

logger = logging.getLogger(__name__)


async def send(exchange: Exchange, content: SendContent, answer: Answer, pools: Pools) -> None:
    """Send `content` under the status and headers of `answer`.

    The first piece is read before anything is sent, so that a source that cannot be read at all
    gets a proper refusal. After that an error can only be shown by cutting the connection: the
    answer is left incomplete, which no client can take for its end.
    """

    def read(at: int) -> "asyncio.Future[bytes]":
        return submit(
            pools.bytes, exchange.request_id, read_piece, content.source, content.part, at
        )

    gone = asyncio.ensure_future(exchange.body.gone())
    reading: asyncio.Future[bytes] | None = None
    try:
        starts = offsets(content.part)
        if starts:
            reading = read(starts[0])
        data = b"" if reading is None else await reading
        await exchange.begin(answer.status, answer.headers, without=frozenset())
        for at in starts[1:]:
            reading = None if pools.crowded else read(at)
            await exchange.piece(data, more=True)
            if gone.done():
                return
            reading = reading or read(at)
            data = await reading
        await exchange.piece(data, more=False)
    except RequestTimeout:
        logger.info("a client stopped reading", extra={"request_id": exchange.request_id})
    finally:
        gone.cancel()
        if reading is not None:
            await asyncio.wait({reading})
            reading.exception()  # seen: it was raised above, or nobody wants the piece any more
        await submit(pools.bytes, exchange.request_id, close, content.source)


async def send_pieces(exchange: Exchange, wanted: SendPieces, answer: Answer, pools: Pools) -> None:
    """Send pieces as they are made. What fails before the first one gets a proper refusal."""

    def make() -> "asyncio.Future[bytes]":
        return submit(pools.pages, exchange.request_id, next, wanted.pieces, b"")

    gone = asyncio.ensure_future(exchange.body.gone())
    making = make()
    try:
        data = await asyncio.shield(making)  # a thread is at it: that cannot be called off
        await exchange.begin(answer.status, answer.headers, without=frozenset({"content-length"}))
        while data:
            await exchange.piece(data, more=True)
            if gone.done():
                return
            making = make()
            data = await asyncio.shield(making)
        await exchange.piece(b"", more=False)
    except RequestTimeout:
        logger.info("a client stopped reading", extra={"request_id": exchange.request_id})
    finally:
        gone.cancel()
        await asyncio.wait({making})
        if not making.cancelled():
            making.exception()  # seen: it was raised above, or nobody wants the piece any more
        await submit(pools.pages, exchange.request_id, wanted.drop)
