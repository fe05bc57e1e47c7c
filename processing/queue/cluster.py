"""django-q2's cluster with our parts, and its life from start to stop.

    main (run) ── sentinel ─┬─ pusher     takes rows, gives tasks
                            ├─ workers    call processing.queue.tasks
                            └─ monitor    django-q2's keeper of results, of which there are none

Whoever loses its parent is killed by the kernel, so nothing outlives the main process. Everything
below it lives in a session of its own: a signal to the main process's group, such as Ctrl-C in a
terminal, reaches the main process only, which then stops the others in order.
"""

import gc
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import django_q.cluster
import django_q.monitor
import django_q.pusher
import django_q.worker
from django.db import connections
from django_q.conf import Conf

from processing.queue import abandoned, lookout
from processing.queue.heartbeat import Watchdog, family_of
from processing.queue.lockless import Flag, PacketQueue, Timer
from processing.queue.stop import STOP
from processing.sandbox.kernel import prctl

logger = logging.getLogger(__name__)

STOP_S = 3.0  # whoever supervises us allows little more
WATCH_S = 3.0

# How `run` ends. Whoever supervises us starts it again after the last two.
STOPPED, DIED, HUNG = 0, 70, 75

PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h.

Sentinel = django_q.cluster.Sentinel


class Cluster(django_q.cluster.Cluster):  # type: ignore[misc]
    """django-q2's cluster; a signal only says that it should stop."""

    def sig_handler(self, signum: int, frame: object) -> None:  # noqa: ARG002 - django-q2's
        STOP.set()

    def watch(self) -> int:
        """Return when the cluster should stop, has died or hangs."""
        watchdog = Watchdog(family_of(self.sentinel.pid))
        while True:
            wait([STOP.fileno(), self.sentinel.sentinel], WATCH_S)
            if STOP.is_set():
                return STOPPED
            if not self.sentinel.is_alive():
                return DIED
            if watchdog.sees_a_hang():
                return HUNG

    def stop_in_time(self) -> None:
        """Stop in order; after STOP_S seconds kill, and give back what the workers held."""
        self.stop_event.set()
        self.sentinel.join(STOP_S)
        if self.sentinel.is_alive():
            self.kill()
            abandoned.give_back(family_of(self.sentinel.pid))

    def kill(self) -> None:
        """Kill the sentinel, and so, by the kernel, all others."""
        self.sentinel.kill()
        self.sentinel.join()


def run() -> int:
    """Start a cluster; return how it ended."""
    fit()
    import_module("processing.runner")  # once for all workers: they are forked
    connections.close_all()
    cluster = Cluster()
    cluster.start()
    lookout.start()
    try:
        ending = cluster.watch()
        if ending == STOPPED:
            cluster.stop_in_time()
    finally:
        cluster.kill()
    logger.log(
        logging.INFO if ending == STOPPED else logging.ERROR,
        "cluster ended",
        extra={"ending": {STOPPED: "stopped", DIED: "died", HUNG: "hung"}[ending]},
    )
    return ending


def fit() -> None:
    """Put our parts into django-q2, in the one place where it looks them up.

    It resolves these names when it builds a cluster. A test fails if it begins to use them, or
    the parts, in another way.
    """
    parts = django_q.cluster
    parts.Queue, parts.Event, parts.Value = PacketQueue, Flag, Timer
    parts.Sentinel = _sentinel
    parts.pusher = _mortal(django_q.pusher.pusher, "queue-pusher")
    parts.worker = _mortal(_worker, "queue-worker")
    parts.monitor = _mortal(django_q.monitor.monitor, "queue-monitor")
    Conf.QSIZE = False  # sockets do not count their packets


def _sentinel(*args: Any) -> None:
    os.setsid()
    _mortal(Sentinel, "queue-sentinel")(*args)


def _worker(*args: Any) -> None:
    from processing import runner  # noqa: PLC0415 - it imports this package
    from processing.webhooks import courier  # noqa: PLC0415 - as above

    runner.prepare()  # now, not when the first file waits for it
    courier.start()
    gc.freeze()  # what start-up made stays: no collection has to look at it again
    django_q.worker.worker(*args)


def _mortal(target: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `target` for a process that is shown as `name` and dies with its parent."""

    def in_child(*args: Any) -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        parent = multiprocessing.parent_process()
        if parent is None or os.getppid() != parent.pid:  # it died before we could ask
            os._exit(1)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(name)
        target(*args)

    return in_child
