"""The step that tells an endpoint: its message stands and falls with its record."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processing import queue, replays, runner, traces
from processing.definitions import add_version, named
from processing.models import Pipeline, Run, RunState, StepRecord
from processing.pipelines import parse
from processing.replays import Selection
from processing.runs import retry_run
from processing.steps.contract import StepFailed
from processing.webhooks import courier, endpoints
from processing.webhooks.models import Delivery, Endpoint
from tests.processing.webhooks.conftest import only_delivery
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


@pytest.fixture
def upload(owner: Any, endpoint: Any) -> Upload:
    endpoints.change(endpoint, events=[])
    steps = [
        {"step": "checksum"},
        {"step": "webhook", "settings": {"endpoint": "books", "label": "half way"}},
        {"step": "media_type"},
    ]
    data = {"name": "text", "title": "Text", "media_types": ["text/*"], "steps": steps}
    add_version(Pipeline.objects.get(name="text"), parse(data))
    offer = Offer(owner=owner, name="log.txt", declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(b"text\n"))


def work(upload: Upload) -> Run:
    upload.refresh_from_db()
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    return Run.objects.get(pk=claim.run_id)


def test_it_tells_the_endpoint_of_the_run_and_keeps_what_it_told(upload, receiver):
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    delivery = only_delivery()
    output = traces.trace_of(run)[1].output
    assert output == {"endpoint": "books", "told": True, "message": delivery.message_id}
    courier.deliver_due()
    (got,) = receiver.got
    message = json.loads(got.body)
    assert (message["type"], got.headers["webhook-id"]) == ("run.reached", delivery.message_id)
    assert message["data"]["run"] == str(run.pk)
    assert (message["data"]["step"], message["data"]["label"]) == ("webhook", "half way")


def test_a_second_attempt_at_the_run_does_not_tell_again(upload, monkeypatch):
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise StepFailed("broken", "Broken.")

    original = runner._run_step
    with monkeypatch.context() as broken:
        broken.setattr(
            runner,
            "_run_step",
            lambda *a: fail() if a[3].step == "media_type" else original(*a),
        )
        run = work(upload)
    assert run.state == RunState.FAILED
    retry_run(run)
    assert work(upload).state == RunState.SUCCEEDED
    assert Delivery.objects.count() == 1


def test_a_worker_that_lost_its_claim_tells_nobody(upload, monkeypatch):
    upload.refresh_from_db()
    late = queue.claim(upload.run_id, "late")
    assert late is not None
    original = runner.Bundle.work_of

    def overtaken(bundle: Any, claim: Any) -> Any:
        work = original(bundle, claim)
        Run.objects.filter(pk=claim.run_id).update(
            lease_expires_at=timezone.now() - timedelta(hours=1)
        )
        assert queue.requeue_abandoned() == 1
        return work

    with monkeypatch.context() as slow:
        slow.setattr(runner.Bundle, "work_of", overtaken)
        runner.execute(late)
    assert not Delivery.objects.exists()
    assert work(upload).state == RunState.SUCCEEDED
    assert Delivery.objects.count() == 1
    assert StepRecord.objects.filter(kind="webhook", state="succeeded").count() == 1


def test_a_worker_killed_before_the_commit_tells_nobody(upload, monkeypatch):
    def die(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    upload.refresh_from_db()
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    with monkeypatch.context() as killed:
        # The last act of the transaction.
        killed.setattr("processing.queue.ledger.announce_all", die)
        with pytest.raises(KeyboardInterrupt):
            runner.execute(claim)
    assert not Delivery.objects.exists()


def test_without_such_an_endpoint_the_step_fails(upload, endpoint):
    endpoints.remove(endpoint)
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "webhook_unknown")
    assert not Delivery.objects.exists()


def test_a_removal_is_told_when_it_is_done_since_tellers_wait_for_each_other(endpoint, monkeypatch):
    told = []

    def announce(owner_id: Any, name: str, **ids: Any) -> None:
        told.append((name, ids["endpoint"], Endpoint.objects.count()))

    monkeypatch.setattr(endpoints, "announce", announce)
    pk = endpoint.pk
    endpoints.remove(endpoint)
    assert told == [("webhook.changed", pk, 0)]


def test_the_endpoint_of_somebody_else_is_none(upload, endpoint, stranger, receiver):
    endpoints.remove(endpoint)
    endpoints.create(stranger, name="books", url=receiver.url, events=[])
    assert work(upload).error_code == "webhook_unknown"


def test_an_endpoint_that_is_off_is_not_told_and_the_run_goes_on(upload, endpoint):
    endpoints.change(endpoint, enabled=False)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert traces.trace_of(run)[1].output == {"endpoint": "books", "told": False, "message": None}
    assert not Delivery.objects.exists()


def test_a_replay_tells_nobody_and_differs_in_nothing(upload, owner):
    work(upload)
    version = named("text", 2, owner=owner)
    replay = replays.start_replay(owner=owner, version=version, selection=Selection())
    claim = queue.claim(None, "worker")
    assert claim is not None
    runner.execute(claim)
    replays.compare(replay)
    assert replay.items.get().outcome == "same"
    assert Delivery.objects.count() == 1


def test_a_step_that_is_cut_off_after_it_told_has_told_nobody(upload, monkeypatch):
    def cut(*args: Any, **kwargs: Any) -> Any:
        raise StepFailed("step_timed_out", "Too slow.")

    monkeypatch.setattr("processing.telling.replace", cut)
    assert work(upload).error_code == "step_timed_out"
    assert not Delivery.objects.exists()
