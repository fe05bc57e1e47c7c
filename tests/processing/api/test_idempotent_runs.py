"""A run that is asked for twice under one key is made once."""

from typing import Any

import pytest

from processing.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(client_of: Any, owner: Any, pipelines: None) -> Any:
    return client_of(owner)


@pytest.fixture
def address(api: Any) -> str:
    upload = api.generic("PUT", "/api/v1/uploads/a.txt", b"one line\n", "text/plain").json()
    return f"/api/v1/uploads/{upload['id']}/runs/"


def ask(api: Any, address: str, **body: Any) -> Any:
    return api.post(address, body, format="json", headers={"Idempotency-Key": "k1"})


def test_a_repeated_request_is_answered_with_the_same_run(api, address):
    before = Run.objects.count()
    first, again = ask(api, address, pipeline="any"), ask(api, address, pipeline="any")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Run.objects.count() == before + 1


def test_a_key_belongs_to_one_body(api, address):
    ask(api, address, pipeline="any")
    response = ask(api, address)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_request_leaves_its_key_free(api, address):
    assert ask(api, address, pipeline="no-such").status_code == 400
    assert ask(api, address, pipeline="any").status_code == 202
