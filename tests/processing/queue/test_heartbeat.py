"""Signs of life, and their absence."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from processing import queue
from processing.models import RunState, Worker
from processing.queue import heartbeat
from processing.queue.heartbeat import SILENCE_S, Watchdog

pytestmark = pytest.mark.django_db
WORKERS = "host/7/"


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: Any) -> list[float]:
    """Return the monotonic time, to be moved."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_queue_without_any_sign_is_not_ready():
    assert queue.health() == queue.QueueHealth(last_beat_s=None, oldest_due_s=0.0, ready=False)


@pytest.mark.parametrize(("silence_s", "ready"), [(1, True), (SILENCE_S + 1, False)])
def test_a_queue_is_ready_while_a_worker_beats(silence_s, ready):
    Worker.objects.create(name="a", seen_at=ago(1000))
    Worker.objects.create(name="b", seen_at=ago(silence_s))
    health = queue.health()
    assert health.last_beat_s == pytest.approx(silence_s, abs=0.5)
    assert health.ready is ready


@pytest.mark.parametrize(("silence_s", "ready"), [(1, True), (SILENCE_S + 1, False)])
def test_a_lease_that_was_renewed_is_a_sign_too(make_run, settings, silence_s, ready):
    end = ago(silence_s) + timedelta(seconds=settings.PROCESSING["LEASE_S"])
    make_run(state=RunState.RUNNING, lease_expires_at=end)
    assert queue.health().ready is ready


def test_the_oldest_due_run_counts_and_one_that_is_not_due_does_not(make_run):
    for seconds in (30, 10, -60):
        make_run(due_at=ago(seconds))
    make_run(due_at=ago(90), state=RunState.FAILED)
    assert queue.health().oldest_due_s == pytest.approx(30, abs=1)


def test_runs_of_the_future_are_not_overdue(make_run):
    make_run(due_at=ago(-60))
    assert queue.health().oldest_due_s == 0


def test_the_watchdog_sees_silence_over_waiting_work(make_run, clock):
    make_run(due_at=ago(SILENCE_S + 1))
    watchdog = Watchdog(WORKERS)
    assert not watchdog.sees_a_hang()
    clock[0] += SILENCE_S + 1
    assert watchdog.sees_a_hang()


def test_the_watchdog_hears_a_beat_of_its_own_workers_only(make_run, clock):
    make_run(due_at=ago(SILENCE_S + 1))
    watchdog = Watchdog(WORKERS)
    for name, hang in [("host/7/8", False), ("host/77/8", True)]:
        clock[0] += SILENCE_S + 1
        Worker.objects.update_or_create(name=name, defaults={"seen_at": timezone.now()})
        assert watchdog.sees_a_hang() is hang


def test_the_watchdog_hears_a_renewed_lease(make_run, clock):
    make_run(due_at=ago(SILENCE_S + 1))
    run = make_run()
    watchdog = Watchdog(WORKERS)
    clock[0] += SILENCE_S + 1
    assert queue.claim(run.pk, "host/7/8")
    assert not watchdog.sees_a_hang()


@pytest.mark.parametrize("due_s", [None, 1, -60])
def test_silence_without_waiting_work_may_last_twice_as_long(make_run, clock, due_s):
    if due_s is not None:
        make_run(due_at=ago(due_s))
    watchdog = Watchdog(WORKERS)
    for hang in (False, True):
        clock[0] += SILENCE_S + 1
        assert watchdog.sees_a_hang() is hang


def test_a_database_out_of_reach_is_not_taken_for_a_hang(make_run, clock, monkeypatch):
    make_run(due_at=ago(SILENCE_S + 1))
    watchdog = Watchdog(WORKERS)
    clock[0] += SILENCE_S + 1

    def fail(workers: str) -> Any:
        raise OperationalError

    with monkeypatch.context() as broken:
        broken.setattr(heartbeat, "last_sign_of_life", fail)
        broken.setattr(connection, "close", lambda: None)  # it is the test's own
        assert not watchdog.sees_a_hang()
    assert not watchdog.sees_a_hang()
    clock[0] += SILENCE_S + 1
    assert watchdog.sees_a_hang()
