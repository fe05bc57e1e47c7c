"""A worker that lives keeps its run, also when nobody could renew for a while."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from processing import queue
from processing.checks import check_queue
from processing.models import Run, RunState
from processing.queue import abandoned, lookout
from processing.queue.lookout import Lookout

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: Any, settings: Any) -> Any:
    """Return how to let seconds pass; a lease has 30."""
    settings.PROCESSING = {**settings.PROCESSING, "LEASE_S": 30}
    passed = [1000.0]

    def pass_by(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    return pass_by


def test_an_abandoned_run_is_given_up_at_the_second_look(clock, make_abandoned):
    run, looker = make_abandoned(), Lookout()
    assert looker.look() == 0
    clock(9)
    assert looker.look() == 0
    clock(1)
    assert looker.look() == 1
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED


def test_whoever_renews_between_two_looks_keeps_the_run(clock, make_run):
    claim = queue.claim(make_run().pk, "worker")
    looker = Lookout()
    assert claim
    runs = Run.objects.filter(pk=claim.run_id)
    past = timezone.now() - timedelta(seconds=1)
    for _ in range(3):  # nobody could renew, and as soon as anybody can, its worker does
        runs.update(lease_expires_at=past)
        assert looker.look() == 0
        clock(5)
        assert queue.renew(claim)
        clock(20)
        assert looker.look() == 0
    assert (runs.get().state, runs.get().attempt) == (RunState.RUNNING, 1)


def test_a_message_takes_no_run_from_a_worker_whose_lease_has_ended(make_abandoned):
    assert queue.claim(make_abandoned().pk, "other") is None


def test_of_many_that_are_abandoned_some_at_once_are_given_up(clock, make_abandoned, monkeypatch):
    monkeypatch.setattr(abandoned, "MOST_GIVEN_UP", 2)
    runs = [make_abandoned(worker=f"dead {number}") for number in range(3)]
    looker, found = Lookout(), []
    for _ in range(4):
        found.append(looker.look())
        clock(10)
    assert found == [0, 2, 0, 1]
    assert Run.objects.filter(pk__in=[run.pk for run in runs], state="queued").count() == 3


@pytest.mark.parametrize(("lease_s", "ids"), [(4, ["processing.W003"]), (5, []), (20, [])])
def test_a_lease_that_a_busy_machine_cannot_keep_is_warned_of(settings, lease_s, ids):
    settings.PROCESSING = {**settings.PROCESSING, "LEASE_S": lease_s}
    assert [message.id for message in check_queue()] == ids


def test_a_look_that_fails_is_not_the_last_one(monkeypatch, caplog):
    class Enough(BaseException):
        pass

    pauses = iter([None, None])

    def pause(_: float) -> None:
        if next(pauses, Enough) is Enough:
            raise Enough

    looks = []

    def look(self: Lookout) -> int:
        looks.append(self)
        raise OperationalError

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setattr(Lookout, "look", look)
    with pytest.raises(Enough):
        lookout._keep_looking()
    assert looks[0] is looks[1]
    assert caplog.text.count("no look at the leases") == 2
