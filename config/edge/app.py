"""The ASGI application: which requests are bytes, which are pages, and how all of them end."""

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from wsgiref.types import WSGIApplication

from config.edge import receiving, sending, streaming
from config.edge.body import Budget
from config.edge.bridge import Reply, UnreadBody, ask, takes_body_itself
from config.edge.environ import declared_length, environ_of, path_info
from config.edge.errors import (
    BodyBroken,
    Disconnected,
    PayloadTooLarge,
    RequestTimeout,
    Stopping,
)
from config.edge.exchange import Exchange
from config.edge.frames import Feed
from config.edge.handover import ReceiveBody, SendContent, SendPieces, StreamEvents
from config.edge.hub import Hub
from config.edge.limits import limits
from config.edge.pools import Pools, run_within
from config.edge.signals import on_stop_signal
from config.edge.static import with_static_files
from config.edge.wire import Answer, Receive, Scope, Send
from config.errors import AppError

EXCHANGE = "strongroom.exchange"  # where the scope carries the exchange past the static files

logger = logging.getLogger(__name__)


class Edge:
    """Asks Django about every request, then moves the bytes of those that Django hands over."""

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django
        self._pools = Pools(limits())
        self._budget = Budget(limits().max_small_bodies_bytes)
        self._hubs: dict[Feed, Hub] = {}
        self._transfers: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._application = with_static_files(self._respond)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        match scope["type"]:
            case "http":
                await self._serve(Exchange(scope, receive, send, limits()), receive)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        with on_stop_signal(self.stop):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self.stop()
        self._pools.close()
        await send({"type": "lifespan.shutdown.complete"})

    def stop(self) -> None:
        """End all event streams now, and after a grace period what else is in flight."""
        if self._stopping:
            return
        self._stopping = True
        for hub in self._hubs.values():
            hub.close()
        asyncio.get_running_loop().call_later(limits().stop_grace_s, self._interrupt)

    def _interrupt(self) -> None:
        for task in self._transfers:
            task.cancel()

    async def _serve(self, exchange: Exchange, receive: Receive) -> None:
        exchange.scope[EXCHANGE] = exchange
        try:
            await self._application(exchange.scope, receive, exchange.send)
        except Disconnected:
            await self._fail(exchange, BodyBroken())
        except AppError as error:
            await self._fail(exchange, error)
        except Exception:
            logger.exception("a request failed", extra={"request_id": exchange.request_id})
            await self._fail(exchange, AppError())
        finally:
            exchange.body.cancel()
            self._budget.give_back(exchange.body.held)
            exchange.log()

    async def _fail(self, exchange: Exchange, error: AppError) -> None:
        """Answer with `error`; where an answer has begun already, leave it cut."""
        if exchange.status:
            extra = {"request_id": exchange.request_id, "code": error.code}
            logger.warning("an answer was cut", extra=extra)
            return
        with suppress(RequestTimeout):
            await exchange.refuse(error)

    async def _respond(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        exchange: Exchange = scope[EXCHANGE]
        environ = await self._environ(exchange)
        reply = await run_within(
            self._pools.pages, exchange.limits.queue_s, ask, self._django, environ
        )
        exchange.given = reply.answer.headers
        await self._deliver(exchange, reply)

    async def _environ(self, exchange: Exchange) -> dict[str, Any]:
        """Return the environ, with the whole body in it unless a view will receive that itself."""
        scope, body = exchange.scope, exchange.body
        length = exchange.length = declared_length(scope)
        if length == 0:
            body.ended = True
        elif takes_body_itself(path_info(scope), exchange.method):
            return environ_of(
                scope, body=UnreadBody(), length=length, request_id=exchange.request_id
            )
        limit = exchange.limits.max_small_body_bytes
        if length is not None and length > limit:
            raise PayloadTooLarge
        content = await body.whole(limit, self._budget)
        return environ_of(
            scope, body=io.BytesIO(content), length=len(content), request_id=exchange.request_id
        )

    async def _deliver(self, exchange: Exchange, reply: Reply) -> None:
        match reply.handover:
            case None:
                await exchange.answer(reply.answer)
            case ReceiveBody(receiver):
                response = await receiving.receive(
                    exchange, receiver, self._pools, self._interruptible
                )
                await exchange.answer(Answer.of(response).under(reply.answer.headers))
            case SendContent() as content:
                with self._interruptible(), self._pools.stream():
                    await sending.send(exchange, content, reply.answer, self._pools)
            case SendPieces() as pieces:
                with self._interruptible(), self._pools.stream():
                    await sending.send_pieces(exchange, pieces, reply.answer, self._pools)
            case StreamEvents() as wanted:
                with self._interruptible():
                    await streaming.stream(
                        exchange, wanted, reply.answer, self._hub(wanted.feed), self._pools
                    )

    def _hub(self, feed: Feed) -> Hub:
        if feed not in self._hubs:
            self._hubs[feed] = Hub(feed, self._pools, limits())
        return self._hubs[feed]

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let a stop of the server cancel what runs inside.

        Raises:
            Stopping: instead of the cancellation, or at once if the server stops already.
        """
        if self._stopping:
            raise Stopping
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a server runs every request in a task)
        self._transfers.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
            raise Stopping from None
        finally:
            self._transfers.discard(task)
