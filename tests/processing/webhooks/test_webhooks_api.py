"""Endpoints and deliveries through the API."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from standardwebhooks.webhooks import Webhook

from processing.webhooks import courier
from processing.webhooks.events import EVENTS
from processing.webhooks.models import Delivery, Endpoint
from tests.processing.webhooks.receiver import Receiver, status

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhooks/"
NOWHERE = UUID("00000000-0000-7000-8000-000000000000")


@pytest.fixture
def client(client_of: Any, owner: Any) -> Any:
    return client_of(owner)


def make(client: Any, receiver: Receiver, **changes: Any) -> Any:
    data = {"name": "books", "url": receiver.url, "events": ["run.succeeded"], **changes}
    return client.post(URL, data, format="json")


def test_a_secret_is_shown_once(client, receiver):
    made = make(client, receiver)
    assert made.status_code == 201
    body = made.json()
    assert body["secret"].startswith("whsec_")
    assert made["Location"] == f"{URL}{body['id']}/"
    assert (body["url"], body["events"]) == (receiver.url, ["run.succeeded"])
    for path in (URL, made["Location"]):
        assert "secret" not in json.dumps(client.get(path).json())


@pytest.mark.parametrize(
    ("changes", "code_status", "code", "pointer"),
    [
        ({"url": "https://localhost:22/"}, 400, "webhook_port_refused", "/url"),
        ({"url": "ftp://example.com/"}, 400, "webhook_scheme_refused", "/url"),
        ({"url": "https://10.0.0.1/"}, 400, "webhook_port_refused", "/url"),
        ({"url": "https://user@example.com/"}, 400, "webhook_url_malformed", "/url"),
        ({"url": "x" * 3000}, 400, "invalid_input", "/url"),
        ({"name": "no spaces"}, 400, "webhook_name_malformed", "/name"),
        ({"events": ["run.invented"]}, 400, "invalid_input", "/events/0"),
        ({"events": None}, 400, "invalid_input", "/events"),
    ],
)
def test_what_is_refused(client, receiver, changes, code_status, code, pointer):
    answer = make(client, receiver, **changes)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (code_status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["pointer"].startswith(pointer.rstrip("0").rstrip("/"))
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_inner_addresses_are_refused_when_saved_and_when_changed(client, receiver, names, address):
    names["hooks.example"] = [address]
    assert make(client, receiver).json()["code"] == "webhook_address_refused"
    names["hooks.example"] = ["127.0.0.1"]
    path = make(client, receiver)["Location"]
    names["other.example"] = [address]
    url = receiver.url.replace("hooks.", "other.")
    assert client.patch(path, {"url": url}, format="json").json()["code"] == (
        "webhook_address_refused"
    )
    assert client.get(path).json()["url"] == receiver.url


def test_a_name_is_taken_once_for_each_owner(client, client_of, stranger, receiver):
    make(client, receiver)
    answer = make(client, receiver)
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_name_taken")
    assert make(client_of(stranger), receiver).status_code == 201
    other = make(client, receiver, name="other")["Location"]
    taken = client.patch(other, {"name": "books"}, format="json")
    assert (taken.status_code, taken.json()["code"]) == (409, "webhook_name_taken")


def test_there_is_a_limit_for_each_owner(client, client_of, stranger, receiver, allow):
    allow(MAX_ENDPOINTS=2)
    for name in ("a", "b"):
        assert make(client, receiver, name=name).status_code == 201
    answer = make(client, receiver, name="c")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
    assert make(client_of(stranger), receiver).status_code == 201


def test_changes_take_an_etag(client, receiver):
    made = make(client, receiver)
    path, etag = made["Location"], made["ETag"]
    changed = client.patch(path, {"events": ["upload.stored"]}, format="json", HTTP_IF_MATCH=etag)
    assert changed.json()["events"] == ["upload.stored"]
    assert changed["ETag"] not in {etag, None}
    for method in (client.patch, client.delete):
        assert method(path, {}, format="json", HTTP_IF_MATCH=etag).status_code == 412
    assert client.get(path)["ETag"] == changed["ETag"]
    assert client.delete(path, HTTP_IF_MATCH=changed["ETag"]).status_code == 204
    assert client.get(path).status_code == 404


def test_switching_off_and_on(client, receiver):
    path = make(client, receiver)["Location"]
    off = client.patch(path, {"enabled": False}, format="json").json()
    assert (off["enabled"], off["ended_because"], off["ended_at"] is None) == (
        False,
        "owner",
        False,
    )
    answer = client.post(f"{path}test/")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_off")
    on = client.patch(path, {"enabled": True}, format="json").json()
    assert (on["enabled"], on["ended_because"], on["ended_at"]) == (True, "", None)


def test_a_test_is_sent_and_sent_again(client, receiver):
    made = make(client, receiver)
    receiver.replies = [status(500), status(200)]
    sent = client.post(f"{made['Location']}test/")
    assert sent.status_code == 202
    courier.deliver_due()
    delivery = client.get(sent["Location"]).json()
    assert (delivery["state"], delivery["event"]) == ("waiting", "webhook.test")
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["error_code"]) == (500, "not_accepted")
    assert delivery["due_at"] > attempt["started_at"]
    assert client.post(f"{sent['Location']}resend/").status_code == 202
    courier.deliver_due()
    delivery = client.get(sent["Location"]).json()
    assert (delivery["state"], len(delivery["attempts"])) == ("delivered", 2)
    assert receiver.got[1].headers["webhook-id"] == delivery["message_id"]
    assert receiver.got[1].body.decode() == delivery["body"]
    assert Webhook(made.json()["secret"]).verify(receiver.got[1].body, receiver.got[1].headers)
    listed = client.get(f"{made['Location']}deliveries/", {"state": "delivered"}).json()
    assert [each["id"] for each in listed["results"]] == [delivery["id"]]
    assert client.get(f"{made['Location']}deliveries/?state=failed").json()["results"] == []


def test_what_is_being_tried_is_not_sent_again(client, receiver):
    from processing.webhooks import deliveries

    sent = client.post(f"{make(client, receiver)['Location']}test/")
    deliveries.claim(1)
    answer = client.post(f"{sent['Location']}resend/")
    assert (answer.status_code, answer.json()["code"]) == (409, "delivery_goes_on")


def test_a_new_secret_is_shown_once_and_the_old_one_ends(client, receiver):
    made = make(client, receiver)
    rotated = client.post(f"{made['Location']}rotate/")
    assert rotated.json()["secret"] not in {made.json()["secret"], None}
    assert rotated.json()["previous_until"]
    assert "secret" not in client.get(made["Location"]).json()


def test_a_stranger_sees_nothing(client, client_of, stranger, receiver):
    make(client, receiver)
    assert client_of(stranger).get(URL).json()["results"] == []


def test_every_event_can_be_chosen(client, receiver):
    assert make(client, receiver, events=list(EVENTS)).json()["events"] == list(EVENTS)


def test_secrets_and_addresses_are_nowhere_in_the_clear(
    client, receiver, settings, caplog, capsys, administrator
):
    from django.test import Client
    from django.urls import reverse

    caplog.set_level("DEBUG")
    receiver.replies = [status(500)]
    made = make(client, receiver)
    rotated = client.post(f"{made['Location']}rotate/").json()["secret"]
    client.post(f"{made['Location']}test/")
    courier.deliver_due()
    admin = Client()
    admin.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    seen = [record.getMessage() + str(record.__dict__) for record in caplog.records]
    for row in (Endpoint.objects.get(), Delivery.objects.get()):
        for page in ("changelist", "change"):
            args = [row.pk] if page == "change" else []
            name = f"admin:webhooks_{row._meta.model_name}_{page}"
            answer = admin.get(reverse(name, args=args))
            assert answer.status_code == 200
            seen.append(answer.content.decode())
    call_command("dumpdata", "webhooks", "events", "sessions")
    seen.append(capsys.readouterr().out)
    for text in seen:
        for hidden in (made.json()["secret"], rotated, "in-the-query", "hooks.example"):
            assert hidden not in text
            assert hidden.removeprefix("whsec_") not in text
    assert any("books" in text for text in seen)
