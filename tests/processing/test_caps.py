"""How many may be at the same step, and how many runs may wait."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processing import queue, runner
from processing.models import Run, RunState, StepRecord, StepState
from processing.queue.pressure import Gauge
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


def hand_in(owner: Any) -> Upload:
    offer = Offer(owner=owner, name="log.txt", declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(b"a line\n"))


@pytest.fixture
def at_it(owner: Any) -> StepRecord:
    """Return the record of a run that another worker has at its step `lines`."""
    run = Run.objects.get(upload=hand_in(owner))
    assert queue.claim(run.pk, "another worker")
    return StepRecord.objects.create(
        run=run,
        position=2,
        step="lines",
        kind="lines",
        attempt=1,
        state=StepState.RUNNING,
        started_at=timezone.now(),
    )


def work(upload: Upload) -> Run:
    claim = queue.claim(Run.objects.get(upload=upload).pk, "worker")
    assert claim
    runner.execute(claim)
    return Run.objects.get(upload=upload)


def caps(settings: Any, **caps: int) -> None:
    settings.PROCESSING = {**settings.PROCESSING, "STEP_CAPS": caps}


def test_where_all_turns_are_taken_a_run_waits_and_keeps_what_it_has_done(owner, at_it, settings):
    caps(settings, lines=1)
    run = work(hand_in(owner))
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert timezone.now() < run.due_at < timezone.now() + timedelta(seconds=2)
    assert list(run.records.values_list("step", "state")) == [
        ("checksum", "succeeded"),
        ("media_type", "succeeded"),
    ]
    at_it.delete()
    Run.objects.update(due_at=timezone.now())
    assert work(run.upload).state == RunState.SUCCEEDED


@pytest.mark.parametrize("others", [{"lines": 2}, {"checksum": 1}, {}])
def test_a_run_goes_on_where_there_is_room(owner, at_it, settings, others):
    caps(settings, **others)
    assert work(hand_in(owner)).state == RunState.SUCCEEDED


def test_who_died_at_a_step_takes_nobodys_turn(owner, at_it, settings):
    caps(settings, lines=1)
    Run.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert work(hand_in(owner)).state == RunState.SUCCEEDED


def test_the_queue_is_full_when_as_many_wait_as_may(owner, settings):
    hand_in(owner)
    hand_in(owner)
    for limit, full in ((3, False), (2, True)):
        settings.PROCESSING = {**settings.PROCESSING, "MAX_QUEUED": limit}
        assert Gauge().is_full() is full


def test_doors_ask_for_patience_while_too_much_waits(owner, client_of, monkeypatch):
    monkeypatch.setattr(queue, "is_full", lambda: True)
    answer = client_of(owner).post(
        "/api/v1/uploads/", {"file": io.BytesIO(b"a line\n")}, format="multipart"
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert answer["Retry-After"] == "30"
    assert not Upload.objects.exists()
