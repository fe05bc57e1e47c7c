"""The threads behind the event loop. The loop waits for threads, never a thread for the loop."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import structlog
from django.db import close_old_connections

from config.edge.errors import Overloaded
from config.edge.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")


class Pools:
    """Three pools, so that no kind of work starves another.

    `pages` runs Django and everything else that may use the database; `bytes` writes bodies and
    reads content; `events` asks the feeds.
    """

    def __init__(self, limits: Limits) -> None:
        self.pages = ThreadPoolExecutor(limits.threads, "edge-pages")
        self.bytes = ThreadPoolExecutor(limits.byte_threads, "edge-bytes")
        self.events = ThreadPoolExecutor(1, "edge-events")
        self._byte_threads = limits.byte_threads
        self._streams = 0
        self.fast_bodies = 0  # of those, the bodies that come as fast as they are taken

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count one body or content on its way."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @property
    def crowded(self) -> bool:
        """Tell whether threads are fewer than streams.

        A piece that waits in memory for a thread then brings no speed, so a stream should have
        only one.
        """
        return self._streams > self._byte_threads

    @property
    def rushed(self) -> bool:
        """Tell whether threads are fewer than fast bodies; slow ones seldom need one."""
        return self.fast_bodies > self._byte_threads

    def close(self) -> None:
        """Start nothing more; what runs may end."""
        for pool in (self.pages, self.bytes, self.events):
            pool.shutdown(wait=False, cancel_futures=True)


async def run_within(
    pool: ThreadPoolExecutor, queue_s: float, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return what `job` returns, if a thread takes it up within `queue_s` seconds.

    Raises:
        Overloaded: none did; the job will not run.
    """
    queued: Future[T] = pool.submit(job, *args, **kwargs)
    result = asyncio.wrap_future(queued)
    await asyncio.wait({result}, timeout=queue_s)
    if not result.done() and queued.cancel():
        raise Overloaded
    return await result


def submit(
    pool: ThreadPoolExecutor,
    request_id: str,
    job: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> "asyncio.Future[T]":
    """Run `job` outside Django's request cycle, with what that cycle would have given it."""

    def run() -> T:
        with _as_in_a_request(request_id):
            return job(*args, **kwargs)

    return asyncio.wrap_future(pool.submit(run))


def submit_turns(
    pool: ThreadPoolExecutor, request_id: str, turn: Callable[[], bool]
) -> "asyncio.Future[None]":
    """Run `turn` like `submit`, and as long as it says so again, behind what waits by then."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            with _as_in_a_request(request_id):
                again = turn()
            if again:
                wait_in_line()
            else:
                done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is raised to whoever waits
            done.set_exception(error)

    def wait_in_line() -> None:
        pool.submit(run).add_done_callback(lambda queued: queued.cancelled() and done.cancel())

    wait_in_line()
    return asyncio.wrap_future(done)


@contextmanager
def _as_in_a_request(request_id: str) -> Iterator[None]:
    close_old_connections()
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        close_old_connections()
