"""Some runs that a worker has claimed together: what it does one after the other, and what not."""

import io
from typing import Any

import pytest

from processing import journal, queue, runner
from processing.models import RunState
from processing.queue import ledger
from processing.sandbox import Session, Sitting
from tests.processing.test_runner import TEXT, latest, upload, work
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

__all__ = ["upload"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


@pytest.fixture
def behind(upload: Upload, owner: Any) -> Upload:
    """Return an upload of the same owner that came after the other one."""
    offer = Offer(owner=owner, name="b.txt", declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(TEXT))


def test_runs_behind_a_slow_one_are_given_back_as_if_never_taken(upload, behind, monkeypatch):
    ((first, second),) = ledger.bundles("worker", size=8)
    original = Session.run

    def run(self: Session, name: str, **rest: Any) -> Any:
        monkeypatch.setattr(runner, "PATIENCE_S", 0.0)
        monkeypatch.setattr(journal, "VISIBLE_WITHIN_S", 0.0)
        self._pulse()
        return original(self, name, **rest)

    monkeypatch.setattr(Session, "run", run)
    runner.execute(first, second)
    assert first.run_id == latest(upload).pk
    assert latest(upload).state == RunState.SUCCEEDED
    left = latest(behind)
    assert (left.state, left.attempt, left.records.count()) == (RunState.QUEUED, 0, 0)
    assert work(behind).state == RunState.SUCCEEDED


def test_a_bundle_ends_with_its_owners_turn(upload, behind, monkeypatch):
    claims = next(ledger.bundles("worker", size=8))
    original = Session.run

    def run(self: Session, name: str, **rest: Any) -> Any:
        monkeypatch.setattr(runner, "TURN_S", 0.0)
        return original(self, name, **rest)

    monkeypatch.setattr(runner, "PATIENCE_S", 60.0)
    monkeypatch.setattr(Session, "run", run)
    runner.execute(*claims)
    assert latest(upload).state == RunState.SUCCEEDED
    left = latest(behind)
    assert (left.state, left.attempt, left.records.count()) == (RunState.QUEUED, 0, 0)


def test_a_bundle_that_came_late_to_its_turn_still_does_one_run(upload, behind, monkeypatch):
    claims = next(ledger.bundles("worker", size=8))
    monkeypatch.setattr(runner, "TURN_S", 0.0)
    runner.execute(*claims)
    assert latest(upload).state == RunState.SUCCEEDED
    assert latest(behind).state == RunState.QUEUED


def test_a_child_is_asked_for_in_the_name_of_the_files_owner(upload, stranger, monkeypatch):
    offer = Offer(owner=stranger, name="b.txt", declared_type="text/plain", door=Door.API)
    other = receive_upload(offer, io.BytesIO(TEXT))
    asked = []
    original = Sitting.open

    def open_noted(self: Sitting, *args: Any, owner: Any, **rest: Any) -> Session:
        asked.append(owner)
        return original(self, *args, owner=owner, **rest)

    monkeypatch.setattr(runner, "PATIENCE_S", 60.0)  # or a slow first gives back the second
    monkeypatch.setattr(Sitting, "open", open_noted)
    claims = [queue.claim(latest(each).pk, "worker") for each in (upload, other)]
    runner.execute(*(claim for claim in claims if claim))
    assert asked == [upload.owner_id, stranger.pk]
    assert [latest(each).state for each in (upload, other)] == [RunState.SUCCEEDED] * 2
