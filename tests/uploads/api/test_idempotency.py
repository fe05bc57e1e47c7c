"""A request that is sent twice under one key counts once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from config.idempotency import keys
from config.idempotency.models import KeptRequest
from uploads.errors import StorageFull
from uploads.models import Quota, Upload

pytestmark = pytest.mark.django_db

PATH = "/api/v1/uploads/"
TEXT = b"one line\n"


def put(api: Any, body: bytes = TEXT, *, name: str = "a.txt", key: str | None = "k1") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.generic("PUT", PATH + name, body, "text/plain", headers=headers)


def post(
    api: Any, body: bytes = TEXT, *, name: str = "a.txt", key: str = "k1", **fields: str
) -> Any:
    data = {"file": SimpleUploadedFile(name, body, "text/plain"), **fields}
    return api.post(PATH, data, format="multipart", headers={"Idempotency-Key": key})


@pytest.fixture
def api(client_of: Any, owner: Any, pipelines: None) -> Any:
    return client_of(owner)


@pytest.mark.parametrize("hand_in", [put, post])
def test_a_repeated_upload_is_the_same_one_and_says_so(api, hand_in):
    first, again = hand_in(api), hand_in(api)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert again["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Upload.objects.count() == Quota.objects.get().used_files == 1


def test_without_a_key_every_upload_is_a_new_one(api):
    assert put(api, key=None).json()["id"] != put(api, key=None).json()["id"]


@pytest.mark.parametrize(
    ("hand_in", "change"),
    [
        (put, {"body": b"other lin\n"}),
        (put, {"body": TEXT + b"!"}),
        (put, {"body": TEXT[:-1]}),
        (put, {"name": "b.txt"}),
        (post, {"body": b"other lin\n"}),
        (post, {"body": TEXT * 2}),
        (post, {"name": "b.txt"}),
        (post, {"pipeline": "any"}),
        (post, {"folder": "elsewhere"}),
        (post, {"tags": "red"}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_a_key_belongs_to_one_request(api, hand_in, change):
    assert hand_in(api).status_code == 201
    response = hand_in(api, **change)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Upload.objects.count() == 1


def test_a_key_belongs_to_one_address(api):
    assert put(api).status_code == 201
    assert post(api).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "key", ["", "a" * 256, "\u00e9", "a\tb"], ids=["empty", "long", "accent", "tab"]
)
def test_a_key_that_is_none_is_refused(api, key):
    response = put(api, key=key)
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_invalid")
    assert not Upload.objects.exists()


def test_a_key_of_another_user_says_nothing(api, client_of, stranger):
    mine = put(api)
    theirs = put(client_of(stranger))
    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine.json()["id"]


def under_way(owner: Any, *, lease: timedelta) -> None:
    put_row = KeptRequest.objects.get()
    KeptRequest.objects.filter(pk=put_row.pk).update(
        subject=None, body="", lease_expires_at=timezone.now() + lease
    )
    Upload.objects.filter(owner=owner).delete()


def test_while_the_first_one_is_under_way_the_second_has_to_wait(api, owner):
    put(api)
    under_way(owner, lease=timedelta(seconds=30))
    response = put(api)
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_in_flight")
    assert int(response["Retry-After"]) > 0
    assert not Upload.objects.exists()


def test_a_request_whose_server_died_can_be_sent_again(api, owner):
    put(api)
    under_way(owner, lease=timedelta(seconds=-1))
    response = put(api)
    assert response.status_code == 201
    assert "Idempotency-Replayed" not in response


def test_a_request_that_was_taken_over_makes_nothing(api, owner, monkeypatch):
    from uploads import intake
    from uploads.api import repeating

    begun = intake.open_upload

    def overtaken(offer: Any) -> Any:
        KeptRequest.objects.update(lease_expires_at=timezone.now() + timedelta(hours=1))
        return begun(offer)

    monkeypatch.setattr(repeating, "open_upload", overtaken)
    response = put(api)
    assert response.json()["code"] == "idempotency_in_flight"
    assert not Upload.objects.exists()
    assert KeptRequest.objects.exists(), "the row of whoever has taken over stays"


@pytest.mark.parametrize(
    "body", [b"", b"MZ\x90\x00" + b"\0" * 60 + b"PE\0\0" + b"\0" * 200], ids=["empty", "denied"]
)
def test_a_refused_request_leaves_its_key_free(api, body):
    assert put(api, body).status_code >= 400
    assert not KeptRequest.objects.exists()
    assert put(api).status_code == 201


def test_a_failure_of_ours_leaves_the_key_free(api, monkeypatch):
    from uploads.intake import Arrival

    def full(*_: Any) -> None:
        raise StorageFull

    with monkeypatch.context() as patched:
        patched.setattr(Arrival, "write", full)
        assert put(api).status_code == 507
    assert put(api).status_code == 201


def test_a_result_that_was_deleted_is_gone(api, django_capture_on_commit_callbacks):
    location = put(api)["Location"]
    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(location).status_code == 204
    response = put(api)
    assert (response.status_code, response.json()["code"]) == (410, "idempotency_result_gone")


def test_after_a_day_a_key_is_forgotten(api):
    first = put(api)
    day = timezone.now() - keys.KEPT_FOR - timedelta(seconds=1)
    KeptRequest.objects.update(created_at=day, lease_expires_at=day)
    assert put(api).json()["id"] != first.json()["id"]
    KeptRequest.objects.update(created_at=day, lease_expires_at=day)
    assert keys.forget_old() == 1


def test_the_database_holds_neither_the_key_nor_what_was_said(api):
    put(api, name="layoffs.txt", key="order-4711")
    row = repr(KeptRequest.objects.values().get())
    assert "4711" not in row
    assert "layoffs" not in row


def test_progress_keeps_the_key(api, owner, monkeypatch):
    put(api)
    row = KeptRequest.objects.get()
    KeptRequest.objects.update(subject=None)
    claim = keys.Claim(row, "k1")
    monkeypatch.setattr(keys, "RENEW_S", 0.0)
    claim._renew_at = 0.0
    claim.renew()
    row.refresh_from_db()
    assert row.lease_expires_at > timezone.now() + keys.LEASE - timedelta(seconds=5)
    claim.release()
    assert not KeptRequest.objects.exists()


@pytest.mark.parametrize(
    ("tag", "status"), [('"other"', 412), ('"{sha256}"', 204), ("*", 204), ('"x", "{sha256}"', 204)]
)
def test_a_deletion_may_depend_on_the_content(api, tag, status):
    upload = put(api).json()
    headers = {"If-Match": tag.format(sha256=upload["sha256"])}
    response = api.delete(f"{PATH}{upload['id']}/", headers=headers)
    assert response.status_code == status
    assert Upload.objects.exists() == (status == 412)
