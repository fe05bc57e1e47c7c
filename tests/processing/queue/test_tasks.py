"""What a worker does when it is woken."""

import logging
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from processing import queue, runner
from processing.models import Run, RunState, Worker
from processing.queue import Claim, tasks
from processing.queue.heartbeat import Heart
from processing.queue.lockless import Flag

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def executed(monkeypatch: Any) -> list[Any]:
    """Replace the work on a file by a note of it."""
    done = []

    def execute(*claims: Claim) -> None:
        for claim in claims:
            done.append(claim.run_id)
            queue.finish(claim, RunState.SUCCEEDED)

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(tasks, "heart", Heart())
    return done


def test_one_message_wakes_a_worker_that_goes_on_until_nothing_is_left(make_run, executed):
    first, second, third = (make_run() for _ in range(3))
    tasks.execute_run(str(second.pk))
    assert executed == [second.pk, first.pk, third.pk]


def test_ticks_find_due_runs_without_a_message(make_run, make_abandoned, executed):
    due = make_run().pk
    make_abandoned()  # for the lookout
    make_run(due_at=timezone.now() + timedelta(minutes=1))
    tasks.tick()
    assert executed == [due]


@pytest.mark.parametrize("state", [state for state in RunState if state != RunState.QUEUED])
def test_a_message_about_a_run_that_is_not_due_is_a_no_op(make_run, executed, state):
    lease_end = timezone.now() + timedelta(minutes=1)
    run = make_run(state=state, lease_expires_at=lease_end)
    tasks.execute_run(str(run.pk))
    tasks.execute_run(str(uuid4()))
    assert executed == []
    assert Run.objects.get().state == state


@pytest.mark.parametrize(
    "argument", ["", "not an id", str(uuid4())], ids=["empty", "no id", "unknown"]
)
def test_nothing_is_raised_whatever_happens(make_run, monkeypatch, caplog, argument):
    def fail(*claims: Claim) -> None:
        raise OSError("a path and a name")

    make_run()
    monkeypatch.setattr(runner, "execute", fail)
    with caplog.at_level(logging.ERROR):
        tasks.execute_run(argument)
    assert "drain interrupted" in caplog.text


def test_a_worker_that_is_asked_to_stop_takes_nothing_more(make_run, executed, monkeypatch):
    stop = Flag()
    monkeypatch.setattr("processing.queue.stop.STOP", stop)
    runs = [make_run() for _ in range(3)]

    def execute(*claims: Claim) -> None:
        for claim in claims:
            executed.append(claim.run_id)
            queue.finish(claim, RunState.SUCCEEDED)
        stop.set()

    monkeypatch.setattr(tasks, "BUNDLE", 1)
    monkeypatch.setattr(runner, "execute", execute)
    tasks.tick()
    tasks.execute_run(str(runs[2].pk))
    assert executed == [runs[0].pk]
    assert Run.objects.filter(state=RunState.QUEUED).count() == 2


def test_a_drain_ends_after_a_while(make_run, executed, monkeypatch):
    monkeypatch.setattr(tasks, "DRAIN_S", 0.0)
    make_run()
    tasks.tick()
    assert executed == []


def test_a_tick_shows_that_the_worker_is_alive_and_not_too_often(monkeypatch):
    tasks.tick()
    first = Worker.objects.get().seen_at
    tasks.tick()
    assert Worker.objects.get().seen_at == first
    monkeypatch.setattr("processing.queue.heartbeat.BEAT_S", 0.0)
    tasks.tick()
    assert Worker.objects.get().seen_at > first


def test_workers_that_are_long_gone_are_forgotten():
    now = timezone.now()
    for name, age in [("gone", timedelta(hours=2)), ("silent", timedelta(minutes=2))]:
        Worker.objects.create(name=name, seen_at=now - age)
    tasks.tick()
    assert set(Worker.objects.values_list("name", flat=True)) & {"gone", "silent"} == {"silent"}
