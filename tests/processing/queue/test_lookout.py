"""A worker that lives keeps its run, also when nobody could renew for a while."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processing import queue
from processing.models import Run, RunState
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
    run, lookout = make_abandoned(), Lookout()
    assert lookout.look() == 0
    clock(9)
    assert lookout.look() == 0
    clock(1)
    assert lookout.look() == 1
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED


def test_whoever_renews_between_two_looks_keeps_the_run(clock, make_run):
    claim = queue.claim(make_run().pk, "worker")
    lookout = Lookout()
    assert claim
    runs = Run.objects.filter(pk=claim.run_id)
    past = timezone.now() - timedelta(seconds=1)
    for _ in range(3):  # nobody could renew, and as soon as anybody can, its worker does
        runs.update(lease_expires_at=past)
        assert lookout.look() == 0
        clock(5)
        assert queue.renew(claim)
        clock(20)
        assert lookout.look() == 0
    assert (runs.get().state, runs.get().attempt) == (RunState.RUNNING, 1)


def test_a_message_takes_no_run_from_a_worker_whose_lease_has_ended(make_abandoned):
    assert queue.claim(make_abandoned().pk, "other") is None
