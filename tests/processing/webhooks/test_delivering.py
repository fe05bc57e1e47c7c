"""From what happens to a signed request at the receiver, over real sockets."""

import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.smtp import EmailBackend
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from processing import queue
from processing.queue import ledger
from processing.webhooks import courier, deliveries, endpoints, outbox
from processing.webhooks.deliveries import MAX_ATTEMPTS, SCHEDULE
from processing.webhooks.models import Attempt, Delivery, DeliveryState, Ended, Endpoint
from processing.webhooks.sending import Answer
from tests.processing.webhooks import receiver as replies
from tests.processing.webhooks.conftest import only_delivery
from tests.processing.webhooks.receiver import HOST, certificate_in, receiving, status
from uploads.deletion import delete_upload
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

NAME = "a-name-for-its-owner-only.txt"


def hand_in(owner: Any) -> Upload:
    offer = Offer(owner=owner, name=NAME, declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(b"text\n"))


def told(*, state: str | None = None) -> list[str]:
    found = Delivery.objects.order_by("pk")
    return [each.event for each in found if state is None or each.state == state]


def later(**span: float) -> None:
    """Let so much time pass for everything that waits."""
    for delivery in Delivery.objects.filter(state=DeliveryState.WAITING):
        Delivery.objects.filter(pk=delivery.pk).update(due_at=delivery.due_at - timedelta(**span))
    for endpoint in Endpoint.objects.all():
        changes = {
            name: getattr(endpoint, name) - timedelta(**span)
            for name in ("quiet_until", "failing_since", "previous_until")
            if getattr(endpoint, name) is not None
        }
        Endpoint.objects.filter(pk=endpoint.pk).update(**changes)


def test_an_upload_is_told_in_a_message_that_anybody_can_verify(owner, receiver, secret):
    upload = hand_in(owner)
    assert courier.deliver_due() == 1
    (got,) = receiver.got
    message = Webhook(secret).verify(got.body, got.headers)
    assert message["type"] == "upload.stored"
    assert message["data"] == {
        "upload": str(upload.pk),
        "verdict": "passed",
        "links": {"upload": f"/api/v1/uploads/{upload.pk}/"},
    }
    assert datetime.fromisoformat(message["timestamp"]).tzinfo == UTC
    assert got.path == "/hook?token=in-the-query"
    assert got.headers["Host"] == f"{HOST}:{receiver.port}"
    assert got.headers["Content-Type"] == "application/json"
    assert NAME.encode() not in got.body
    delivery = only_delivery()
    assert got.headers["webhook-id"] == delivery.message_id
    assert (delivery.state, delivery.attempts.get().status) == ("delivered", 204)


def test_links_lead_to_the_address_of_the_installation(owner, receiver, endpoint, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://files.example.com"]
    upload = hand_in(owner)
    courier.deliver_due()
    links = json.loads(receiver.got[0].body)["data"]["links"]
    assert links["upload"] == f"https://files.example.com/api/v1/uploads/{upload.pk}/"


def test_a_changed_body_and_an_old_one_do_not_verify(owner, receiver, secret, monkeypatch):
    monkeypatch.setattr(
        "processing.webhooks.courier.time.time", lambda: datetime.now(UTC).timestamp() - 301
    )
    hand_in(owner)
    courier.deliver_due()
    (got,) = receiver.got
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(got.body, got.headers)
    monkeypatch.undo()
    headers = {**got.headers, "webhook-timestamp": str(int(time.time()))}
    with pytest.raises(WebhookVerificationError, match="No matching"):
        Webhook(secret).verify(got.body, headers)


def test_the_life_of_a_file_is_told_once_each(owner, receiver, endpoint):
    upload = hand_in(owner)
    claim = queue.claim(upload.run_id or Upload.objects.get(pk=upload.pk).run_id, "worker")
    assert claim
    from processing import runner

    runner.execute(claim)
    delete_upload(Upload.objects.get(pk=upload.pk))
    while courier.deliver_due():
        pass
    types = [json.loads(got.body)["type"] for got in receiver.got]
    assert types == ["upload.stored", "run.succeeded", "upload.deleted"]
    assert json.loads(receiver.got[2].body)["data"] == {"upload": str(upload.pk), "links": {}}


def test_an_endpoint_hears_of_its_own_events_and_its_owner_only(
    owner, stranger, receiver, endpoint
):
    endpoints.change(endpoint, events=["run.failed"])
    hand_in(owner)
    hand_in(stranger)
    assert told() == []


def test_two_secrets_sign_until_the_old_one_ends(owner, receiver, endpoint, secret):
    new = endpoints.rotate(endpoint)
    assert new != secret
    hand_in(owner)
    courier.deliver_due()
    (got,) = receiver.got
    assert len(got.headers["webhook-signature"].split()) == 2
    for each in (secret, new):
        assert Webhook(each).verify(got.body, got.headers)["type"] == "upload.stored"
    later(hours=25)
    hand_in(owner)
    courier.deliver_due()
    assert Webhook(new).verify(receiver.got[1].body, receiver.got[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(receiver.got[1].body, receiver.got[1].headers)


def test_https_asks_for_the_name_and_trusts_only_whom_it_should(
    owner, allow, names, tmp_path, caplog
):
    good, wrong = certificate_in(tmp_path), certificate_in(tmp_path, "other.example")
    for served, trusted, code in [
        (good, good, ""),
        (good, wrong, "tls_failed"),
        (wrong, wrong, "tls_failed"),
    ]:
        with receiving(served) as receiver:
            allow(PORTS=[receiver.port], NETWORKS=["127.0.0.0/8"], CA_FILE=str(trusted))
            endpoint, secret = endpoints.create(
                owner, name="books", url=receiver.url, events=["upload.stored"]
            )
            hand_in(owner)
            courier.deliver_due()
            attempt = Attempt.objects.get(delivery__endpoint=endpoint)
            assert (attempt.error_code, len(receiver.got)) == (code, int(not code))
            if not code:
                assert Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)
            endpoints.remove(endpoint)


# --- Failing and trying again -----------------------------------------------------------------


def test_the_schedule_takes_about_three_days(owner, receiver, endpoint):
    receiver.replies = [status(500)]
    hand_in(owner)
    pauses = []
    for number in range(1, MAX_ATTEMPTS + 1):
        assert courier.deliver_due() == 1
        delivery = only_delivery()
        assert (delivery.attempt, len(receiver.got)) == (number, number)
        if number < MAX_ATTEMPTS:
            pause = delivery.due_at - queue.now()
            planned = SCHEDULE[number - 1]
            assert (
                planned * 0.89
                < pause + timedelta(seconds=1)
                < planned * 1.11 + timedelta(seconds=2)
            )
            pauses.append(pause)
            assert courier.deliver_due() == 0
            later(seconds=pause.total_seconds() + 301)
            Endpoint.objects.update(failing_since=timezone.now())  # this is about one delivery
    assert timedelta(hours=66) < sum(pauses, timedelta()) < timedelta(hours=85)
    assert (delivery.state, delivery.settled_at is not None) == ("failed", True)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert Attempt.objects.filter(error_code="not_accepted", status=500).count() == MAX_ATTEMPTS


def test_a_later_attempt_may_succeed_and_clears_the_slate(owner, receiver, endpoint):
    receiver.replies = [status(503), status(200)]
    hand_in(owner)
    courier.deliver_due()
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since is None) == (1, False)
    later(seconds=10)
    courier.deliver_due()
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since, endpoint.quiet_until) == (0, None, None)
    assert only_delivery().state == "delivered"


def test_retry_after_is_honoured_for_all_that_waits(owner, receiver, endpoint):
    receiver.replies = [status(429, Retry_After="600"), status(200)]
    hand_in(owner)
    hand_in(owner)
    assert courier.deliver_due() == 1
    first = Delivery.objects.order_by("pk").first()
    assert first is not None
    assert 590 < (first.due_at - queue.now()).total_seconds() <= 600
    later(seconds=500)
    assert courier.deliver_due() == 0
    later(seconds=101)
    assert courier.deliver_due() == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("0", 0),
        ("99999999999999999999", 86_400),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", 86_400),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_what_retry_after_may_say(value, seconds):
    from processing.webhooks.sending import retry_after_s

    assert retry_after_s(value, now=datetime(2026, 1, 1, tzinfo=UTC)) == seconds


def test_an_endpoint_that_is_gone_is_switched_off_with_a_notice(owner, receiver, endpoint):
    owner.email = "olive@example.com"
    owner.save()
    receiver.replies = [status(410)]
    hand_in(owner)
    courier.deliver_due()
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.ended_because) == (False, Ended.GONE)
    assert only_delivery().state == "failed"
    (notice,) = mail.outbox
    assert (notice.to, "books" in notice.body, "410" in notice.body) == (
        ["olive@example.com"],
        True,
        True,
    )
    hand_in(owner)
    assert told() == ["upload.stored"]


def test_an_endpoint_that_fails_for_three_days_is_switched_off(owner, receiver, endpoint):
    receiver.replies = [status(500)]
    hand_in(owner)
    courier.deliver_due()
    later(hours=71)
    courier.deliver_due()
    endpoint.refresh_from_db()
    assert endpoint.enabled
    later(hours=2)
    courier.deliver_due()
    endpoint.refresh_from_db()
    assert (endpoint.enabled, endpoint.ended_because) == (False, Ended.FAILING)
    later(hours=100)
    assert courier.deliver_due() == 0
    assert only_delivery().state == "waiting"
    receiver.replies = [status(200)]
    endpoints.change(endpoint, enabled=True)
    assert courier.deliver_due() == 1
    assert only_delivery().state == "delivered"


@pytest.mark.parametrize(
    ("reply", "code", "status_code"),
    [
        (status(301, Location="http://127.0.0.1:1/"), "redirect_refused", 301),
        (status(307, Location="/elsewhere"), "redirect_refused", 307),
        (status(404), "not_accepted", 404),
        (replies.nonsense, "answer_malformed", None),
        (replies.silent, "timed_out", None),
        (replies.dripping, "timed_out", None),
    ],
)
def test_answers_that_are_none(owner, receiver, endpoint, monkeypatch, reply, code, status_code):
    monkeypatch.setattr("processing.webhooks.sending.TIMEOUT_S", 0.5)
    receiver.replies = [reply]
    hand_in(owner)
    began = time.monotonic()
    assert courier.deliver_due() == 1
    assert time.monotonic() - began < 4
    attempt = Attempt.objects.get()
    assert (attempt.error_code, attempt.status) == (code, status_code)
    assert (attempt.duration_ms or 0) > 0
    assert len(receiver.got) == receiver.connections == 1
    assert only_delivery().state == "waiting"


def test_an_answer_without_an_end_is_cut_and_counts(owner, receiver, endpoint):
    receiver.replies = [replies.giant]
    hand_in(owner)
    courier.deliver_due()
    assert only_delivery().state == "delivered"
    assert receiver.sent_bytes < 8 * 1024 * 1024  # what the kernel's buffers took


def test_nobody_listens(owner, allow, names, receiver, endpoint):
    endpoint_url = receiver.url.replace(str(receiver.port), "1")
    allow(HTTP=True, PORTS=[1], NETWORKS=["127.0.0.0/8"])
    endpoints.change(endpoint, url=endpoint_url)
    hand_in(owner)
    courier.deliver_due()
    assert Attempt.objects.get().error_code == "connection_failed"


def test_a_name_that_leads_elsewhere_after_it_was_saved_leads_nowhere(owner, allow, names):
    with receiving() as receiver:
        allow(HTTP=True, PORTS=[receiver.port])
        names[HOST] = ["93.184.216.34"]
        endpoints.create(owner, name="books", url=receiver.url, events=["upload.stored"])
        names[HOST] = ["127.0.0.1"]
        hand_in(owner)
        courier.deliver_due()
        assert Attempt.objects.get().error_code == "webhook_address_refused"
        assert receiver.connections == 0


def test_the_name_is_asked_once_and_what_was_judged_is_connected_to(
    owner, receiver, endpoint, monkeypatch
):
    answers = [["127.0.0.1"], ["192.0.2.1"]]
    monkeypatch.setattr("processing.webhooks.targets.resolve", lambda *_: answers.pop(0))
    hand_in(owner)
    courier.deliver_due()
    assert (len(receiver.got), len(answers)) == (1, 1)


def test_proxies_of_the_environment_are_not_used(owner, receiver, endpoint, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    hand_in(owner)
    courier.deliver_due()
    assert len(receiver.got) == 1


# --- Claims -----------------------------------------------------------------------------------


def test_a_slow_endpoint_does_not_keep_others_waiting(owner, receiver, endpoint, monkeypatch):
    monkeypatch.setattr("processing.webhooks.sending.TIMEOUT_S", 3)
    slow = threading.Event()

    def wait_for_the_other(handler: Any) -> None:
        slow.wait(3)
        status(200)(handler)

    def second(handler: Any) -> None:
        slow.set()
        status(200)(handler)

    receiver.replies = [wait_for_the_other, second]
    endpoints.create(owner, name="mail", url=receiver.url, events=["upload.stored"])
    hand_in(owner)
    assert courier.deliver_due() == 2
    assert told(state="delivered") == ["upload.stored"] * 2


def test_an_endpoint_is_tried_by_one_at_a_time(owner, receiver, endpoint):
    hand_in(owner)
    hand_in(owner)
    (claim,) = deliveries.claim(4)
    assert deliveries.claim(4) == []
    deliveries.settle(claim, Answer(200), took_ms=1)
    assert len(deliveries.claim(4)) == 1


def test_a_worker_that_dies_in_the_middle_loses_nothing(owner, receiver, endpoint, secret):
    hand_in(owner)
    (dead,) = deliveries.claim(1)
    assert courier.deliver_due() == 0
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert courier.deliver_due() == 1
    assert [(a.number, a.error_code) for a in Attempt.objects.all()] == [
        (1, "worker_lost"),
        (2, ""),
    ]
    deliveries.settle(dead, Answer(error_code="timed_out"), took_ms=1)  # it was only asleep
    assert only_delivery().state == "delivered"
    assert Attempt.objects.get(number=1).error_code == "worker_lost"


def test_a_late_answer_does_not_end_what_somebody_else_is_at(owner, receiver, endpoint):
    hand_in(owner)
    (late,) = deliveries.claim(1)
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    (now,) = deliveries.claim(1)
    deliveries.settle(late, Answer(410, "endpoint_gone"), took_ms=1)
    endpoint.refresh_from_db()
    assert (only_delivery().state, endpoint.enabled) == ("waiting", True)
    deliveries.settle(now, Answer(200), took_ms=1)
    assert only_delivery().state == "delivered"


def test_a_user_who_may_not_sign_in_is_told_nothing(owner, receiver, endpoint):
    hand_in(owner)
    owner.is_active = False
    owner.save()
    assert courier.deliver_due() == 0


def test_a_destroyed_key_ends_as_an_attempt(owner, receiver, endpoint):
    from uploads.key_models import OwnerKey

    hand_in(owner)
    OwnerKey.objects.all().delete()
    courier.deliver_due()
    assert Attempt.objects.get().error_code == "key_unavailable"
    assert not OwnerKey.objects.exists()


def test_sending_again_keeps_the_id(owner, receiver, endpoint):
    hand_in(owner)
    courier.deliver_due()
    delivery = only_delivery()
    endpoints.resend(delivery)
    courier.deliver_due()
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert Attempt.objects.filter(status=204).count() == 2


def test_old_deliveries_are_forgotten(owner, receiver, endpoint):
    hand_in(owner)
    courier.deliver_due()
    assert deliveries.forget(before=timezone.now() - timedelta(days=30)) == 0
    Endpoint.objects.filter(pk=endpoint.pk)._raw_delete("default")  # as in a race
    assert deliveries.forget(before=timezone.now() - timedelta(days=30)) == 1
    assert not Attempt.objects.exists()


# --- Atomicity --------------------------------------------------------------------------------


def test_what_is_rolled_back_is_not_told(owner, receiver, endpoint, monkeypatch):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("processing.receivers.start_run", fail)
    with pytest.raises(RuntimeError):
        hand_in(owner)
    assert told() == []


def test_a_late_worker_tells_nothing(owner, receiver, endpoint):
    upload = hand_in(owner)
    run_id = Upload.objects.get(pk=upload.pk).run_id
    assert run_id
    late = queue.claim(run_id, "late")
    assert late
    from processing.models import Run, RunState

    Run.objects.filter(pk=run_id).update(lease_expires_at=timezone.now() - timedelta(hours=1))
    assert queue.requeue_abandoned() == 1
    now = queue.claim(run_id, "now")
    assert now
    with pytest.raises(queue.ClaimLost):
        ledger.finish(late, RunState.FAILED, "late", "Too late.")
    ledger.finish(now, RunState.SUCCEEDED)
    assert told() == ["upload.stored", "run.succeeded"]


def test_runs_of_a_replay_tell_nobody(owner, receiver, endpoint):
    from processing import replays, runner
    from processing.definitions import named
    from processing.replays import Selection

    upload = hand_in(owner)
    claim = queue.claim(Upload.objects.get(pk=upload.pk).run_id, "worker")
    assert claim
    runner.execute(claim)
    replays.start_replay(
        owner=owner, version=named("text", 1, owner=owner), selection=Selection(tag="")
    )
    again = queue.claim(None, "worker")
    assert again
    runner.execute(again)
    assert told() == ["upload.stored", "run.succeeded"]


def test_where_nobody_listens_nothing_is_asked_but_once(owner, django_assert_num_queries):
    with django_assert_num_queries(1):
        outbox.tell([outbox.News(owner.pk, "upload.stored", {"upload": "x"})])


def test_a_user_who_goes_leaves_nothing(owner, receiver, endpoint):
    from uploads.deletion import delete_user

    hand_in(owner)
    courier.deliver_due()
    delete_user(owner)
    for model in (Endpoint, Delivery, Attempt):
        assert not model.objects.exists()


def test_metrics_tell_what_waits_and_for_how_long(owner, receiver, endpoint):
    from processing.webhooks.metrics import collect

    hand_in(owner)
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=90))
    by_state, oldest = collect()
    counts = {sample.labels["state"]: sample.value for sample in by_state.samples}
    assert counts == {"waiting": 1, "delivered": 0, "failed": 0}
    assert 90 <= oldest.samples[0].value < 120


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"NETWORKS": ["10.1.0.0/16", "fd00::/8"]}, []),
        ({"NETWORKS": ["10.1.0.1/16"]}, ["webhooks.E001"]),
        ({"NETWORKS": ["inside"]}, ["webhooks.E001"]),
        ({"CA_FILE": "/nowhere.pem"}, ["webhooks.E002"]),
        ({"CA_FILE": __file__}, ["webhooks.E002"]),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(allow, values, found):
    from processing.webhooks.checks import check_webhooks

    allow(**values)
    assert [each.id for each in check_webhooks()] == found


def test_a_mail_server_that_says_nothing_keeps_the_courier_for_seconds():
    assert EmailBackend().timeout in range(1, 31)
