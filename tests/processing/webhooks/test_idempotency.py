"""A POST about webhooks that is sent twice under one key counts once."""

from typing import Any

import pytest
from django.utils import timezone

from config.idempotency.models import KeptRequest
from processing.webhooks.models import Delivery, Endpoint
from tests.processing.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhooks/"
KEY = {"Idempotency-Key": "k1"}


@pytest.fixture
def api(client_of: Any, owner: Any) -> Any:
    return client_of(owner)


def make(api: Any, receiver: Receiver, headers: Any = KEY, **changes: Any) -> Any:
    data = {"name": "books", "url": receiver.url, "events": ["run.failed"], **changes}
    return api.post(URL, data, format="json", headers=headers)


def test_a_repeated_endpoint_is_the_same_one_with_its_secret(api: Any, receiver: Receiver) -> None:
    first, again = make(api, receiver), make(api, receiver)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert first.json()["secret"].startswith("whsec_")
    for header in ("Location", "ETag"):
        assert again[header] == first[header]
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Endpoint.objects.count() == 1


def test_without_a_key_a_repetition_is_refused(api: Any, receiver: Receiver) -> None:
    make(api, receiver, headers={})
    assert make(api, receiver, headers={}).json()["code"] == "webhook_name_taken"


@pytest.mark.parametrize(
    "changes", [{"name": "other"}, {"events": []}, {"url": "https://1.1.1.1/"}]
)
def test_a_key_belongs_to_one_request(api: Any, receiver: Receiver, changes: Any) -> None:
    make(api, receiver)
    answer = make(api, receiver, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Endpoint.objects.count() == 1


def test_a_key_opens_nothing_for_others(
    api: Any, client_of: Any, stranger: Any, receiver: Receiver
) -> None:
    first = make(api, receiver).json()
    theirs = make(client_of(stranger), receiver).json()
    assert theirs["id"] != first["id"]
    assert theirs["secret"] != first["secret"]


def test_a_refused_request_leaves_its_key_free(api: Any, receiver: Receiver) -> None:
    assert make(api, receiver, name="no spaces").status_code == 400
    assert not KeptRequest.objects.exists()
    assert make(api, receiver).status_code == 201


def test_what_was_removed_is_gone(api: Any, receiver: Receiver) -> None:
    path = make(api, receiver)["Location"]
    assert api.delete(path).status_code == 204
    answer = make(api, receiver)
    assert (answer.status_code, answer.json()["code"]) == (410, "idempotency_result_gone")


def test_a_secret_is_renewed_once(api: Any, receiver: Receiver) -> None:
    made = make(api, receiver, headers={})
    path = f"{made['Location']}rotate/"
    first, again = api.post(path, headers=KEY), api.post(path, headers=KEY)
    assert first.json()["secret"] == again.json()["secret"] != made.json()["secret"]
    assert again["Idempotency-Replayed"] == "true"
    other = api.post(path, headers={"Idempotency-Key": "k2"})
    assert other.json()["secret"] != first.json()["secret"]


def test_a_test_is_sent_once(api: Any, receiver: Receiver) -> None:
    path = f"{make(api, receiver, headers={})['Location']}test/"
    first, again = api.post(path, headers=KEY), api.post(path, headers=KEY)
    assert first.json()["id"] == again.json()["id"]
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert Delivery.objects.count() == 1


def test_a_delivery_is_sent_again_once(api: Any, receiver: Receiver) -> None:
    path = api.post(f"{make(api, receiver, headers={})['Location']}test/")["Location"]
    Delivery.objects.update(state="failed", settled_at=timezone.now())
    first = api.post(f"{path}resend/", headers=KEY)
    assert first.status_code == 202
    Delivery.objects.update(state="delivered", settled_at=timezone.now())
    again = api.post(f"{path}resend/", headers=KEY)
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["state"] == "delivered"
