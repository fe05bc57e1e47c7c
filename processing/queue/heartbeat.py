"""Signs of life: who is at work, and whether anybody is."""

import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, connection
from django.db.models import Count, Max, Min

from processing.models import Run, RunState, Worker
from processing.queue import clock
from processing.queue.ledger import lease

logger = logging.getLogger(__name__)

BEAT_S = 5.0
SILENCE_S = 15.0  # three beats
FORGOTTEN = timedelta(hours=1)
MOST_NAMED = 100


@dataclass(frozen=True)
class QueueHealth:
    """`last_beat_s` is None while there never was a sign of life; nothing due is 0 seconds old."""

    last_beat_s: float | None
    oldest_due_s: float
    ready: bool


def health() -> QueueHealth:
    """Return how the queue is doing, over all clusters."""
    now = clock.now()
    sign = last_sign_of_life()
    silence_s = (now - sign).total_seconds() if sign else None
    due = Run.objects.filter(state=RunState.QUEUED).aggregate(oldest=Min("due_at"))["oldest"]
    return QueueHealth(
        last_beat_s=silence_s,
        oldest_due_s=max(0.0, (now - due).total_seconds()) if due else 0.0,
        ready=silence_s is not None and silence_s <= SILENCE_S,
    )


@dataclass(frozen=True)
class WorkerSigns:
    """What one worker has shown lately. `runs` are those that it holds."""

    name: str
    seen_at: datetime
    is_alive: bool
    runs: int


def workers() -> Sequence[WorkerSigns]:
    """Return the workers that were heard of in the last hour, the living first; two queries."""
    now = clock.now()
    held = {
        name: (end - lease(), count)
        for name, end, count in Run.objects.filter(
            state=RunState.RUNNING, lease_expires_at__isnull=False
        )
        .values_list("worker")
        .annotate(Max("lease_expires_at"), Count("pk"))
    }
    signs = []
    lately = Worker.objects.filter(seen_at__gt=now - FORGOTTEN).order_by("-seen_at")
    for worker in lately[:MOST_NAMED]:
        renewed_at, runs = held.get(worker.name, (worker.seen_at, 0))
        seen_at = max(worker.seen_at, renewed_at)
        is_alive = (now - seen_at).total_seconds() <= SILENCE_S
        signs.append(WorkerSigns(worker.name, seen_at, is_alive, runs))
    return sorted(signs, key=lambda worker: (not worker.is_alive, worker.name))


def last_sign_of_life(workers: str = "") -> datetime | None:
    """Return when a worker whose name begins with `workers` last beat, or renewed a lease."""
    beats = Worker.objects.filter(name__startswith=workers)
    leases = Run.objects.filter(state=RunState.RUNNING, worker__startswith=workers)
    beat = beats.aggregate(last=Max("seen_at"))["last"]
    end = leases.aggregate(last=Max("lease_expires_at"))["last"]
    signs = [sign for sign in (beat, end and end - lease()) if sign]
    return max(signs, default=None)


def name_of(pid: int, *, parent: int) -> str:
    """Return the name of a worker process; its cluster's begin alike: see `family_of`."""
    return f"{family_of(parent)}{pid}"


def family_of(parent: int) -> str:
    """Return how the names of all workers begin that the process `parent` started."""
    return f"{socket.gethostname()}/{parent}/"


class Heart:
    """Beats for one worker process, at most every BEAT_S seconds."""

    def __init__(self) -> None:
        self._beat_at = float("-inf")

    def beat(self) -> None:
        """Show that this worker is alive and gets around to things."""
        if time.monotonic() - self._beat_at < BEAT_S:
            return
        now = clock.now()
        name = name_of(os.getpid(), parent=os.getppid())
        _, is_new = Worker.objects.update_or_create(name=name, defaults={"seen_at": now})
        if is_new:
            Worker.objects.filter(seen_at__lt=now - FORGOTTEN).delete()
        self._beat_at = time.monotonic()


class Watchdog:
    """Sees when the workers of one cluster neither work nor answer.

    Silence is measured as the time without a *new* sign, on the clock that stands still while
    the machine sleeps. Without work that waits, the patience is longer, but it ends too: a worker
    that is stopped inside a transaction can keep all work from coming in.
    """

    def __init__(self, workers: str) -> None:
        self._workers = workers
        self._sign: datetime | None = None
        self._heard_at = time.monotonic()

    def sees_a_hang(self) -> bool:
        """Tell whether the silence has lasted too long."""
        try:
            sign = last_sign_of_life(self._workers)
            is_waited_for = health().oldest_due_s > SILENCE_S
        except Error:  # nobody can beat now; that is not the workers' fault
            logger.warning("database out of reach")
            connection.close()
            self._heard_at = time.monotonic()
            return False
        if sign != self._sign:
            self._sign, self._heard_at = sign, time.monotonic()
        patience_s = SILENCE_S if is_waited_for else 2 * SILENCE_S
        return time.monotonic() - self._heard_at > patience_s
