"""The one way in: order of effects, refusals, quotas."""

import hashlib
import io
from typing import Any

import pytest
from django.db import transaction

from uploads import errors
from uploads.deletion import delete_upload, sweep
from uploads.encryption import UnknownKey
from uploads.intake import Offer, open_upload, receive_upload
from uploads.key_models import UploadKey
from uploads.keys import upload_key
from uploads.models import Blob, Door, Quota, Upload
from uploads.names import name_of
from uploads.reading import open_content
from uploads.storage import store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

TEXT = b"one line\nand another\n"


def offer(owner: Any, **changes: Any) -> Offer:
    known = {"name": "notes.txt", "declared_type": "text/plain", "door": Door.API}
    return Offer(owner=owner, **{**known, **changes})


def receive(owner: Any, content: bytes = TEXT, **changes: Any) -> Upload:
    return receive_upload(offer(owner, **changes), io.BytesIO(content))


def stored_files(settings: Any) -> list[Any]:
    return [p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file()]


def test_an_accepted_file_comes_back_as_it_was(owner):
    upload = receive(owner)
    with open_content(upload) as content:
        assert b"".join(content.chunks()) == TEXT
    assert upload.sha256 == hashlib.sha256(TEXT).hexdigest()
    assert upload.size == len(TEXT)
    assert name_of(upload) == "notes.txt"
    assert upload.media_type == "text/plain"


def test_nothing_on_the_disk_or_in_the_row_shows_content_or_name(owner, settings):
    marker = b"a marker that nobody else writes"
    upload = receive(owner, marker * 100, name="salaries.txt")
    (file,) = stored_files(settings)
    assert marker not in file.read_bytes()
    assert b"salaries" not in bytes(Upload.objects.get(pk=upload.pk).sealed_name)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "changes", "refusal"),
    [
        (b"", {}, errors.EmptyFile),
        (TEXT, {"name": ""}, errors.NameMissing),
        (TEXT, {"name": "n" * 1000}, errors.NameTooLong),
        (TEXT, {"name": "../../etc/passwd"}, errors.NameIsAPath),
        (TEXT, {"name": "C:\\notes.txt"}, errors.NameIsAPath),
        (TEXT, {"name": ".."}, errors.NameIsAPath),
        (TEXT, {"name": "nul\0.txt"}, errors.NameIsAPath),
        (TEXT, {"pipeline": "no-such"}, errors.UnknownPipeline),
        (TEXT, {"size": len(TEXT) + 1}, errors.Truncated),
        (b"MZ\x90\x00" + b"\0" * 60 + b"PE\0\0" + b"\0" * 200, {}, errors.MediaTypeDenied),
    ],
)
def test_what_is_refused_leaves_nothing(owner, settings, content, changes, refusal):
    with pytest.raises(refusal):
        receive(owner, content, **changes)
    assert not Upload.objects.exists()
    assert not UploadKey.objects.exists()
    assert not Blob.objects.exists()
    assert stored_files(settings) == []


@pytest.mark.parametrize("size", [None, 11])
def test_a_file_is_refused_at_its_first_byte_too_many(owner, settings, size):
    settings.UPLOADS = {**settings.UPLOADS, "MAX_BYTES": 10}
    with pytest.raises(errors.TooLarge):
        receive(owner, b"0123456789A", size=size)
    assert receive(owner, b"0123456789").size == 10


def test_a_denied_type_is_refused_before_the_file_has_arrived(owner, settings):
    settings.UPLOADS = {**settings.UPLOADS, "DENIED_TYPES": ["application/pdf"]}
    arrival = open_upload(offer(owner))
    with pytest.raises(errors.MediaTypeDenied):
        for _ in range(100):
            arrival.write(b"%PDF-1.7\n" + b"x" * 8192)
    assert arrival.size < 20 * 8192
    arrival.abort()
    assert stored_files(settings) == []


@pytest.mark.parametrize("limit", [{"max_bytes": 2 * len(TEXT)}, {"max_files": 2}])
def test_a_quota_holds_and_is_given_back(owner, limit):
    Quota.objects.create(user=owner, **limit)
    first = receive(owner)
    receive(owner)
    with pytest.raises(errors.QuotaExceeded):
        receive(owner)
    delete_upload(first)
    receive(owner)
    quota = Quota.objects.get(user=owner)
    assert (quota.used_files, quota.used_bytes) == (2, 2 * len(TEXT))


def test_two_arrivals_at_once_cannot_share_the_last_of_a_quota(owner, settings):
    Quota.objects.create(user=owner, max_bytes=len(TEXT))
    one, two = open_upload(offer(owner)), open_upload(offer(owner))
    one.write(TEXT)
    two.write(TEXT)
    one.commit()
    with pytest.raises(errors.QuotaExceeded):
        two.commit()
    assert len(stored_files(settings)) == 1


def test_the_same_idempotency_key_is_the_same_upload(owner, settings):
    first = receive(owner, idempotency="folder:1")
    assert receive(owner, idempotency="folder:1") == first
    assert len(stored_files(settings)) == 1
    assert Quota.objects.get(user=owner).used_files == 1


def test_a_digest_of_the_sender_is_verified(owner):
    arrival = open_upload(offer(owner))
    arrival.write(TEXT)
    with pytest.raises(errors.DigestMismatch):
        arrival.commit(sha256=b"\0" * 32)
    arrival.abort()
    assert not Upload.objects.exists()


def test_a_failed_transaction_leaves_no_blob(owner, settings, monkeypatch):
    def fail(**_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("processing.receivers.start_run", fail)
    with pytest.raises(RuntimeError):
        receive(owner)
    assert not Upload.objects.exists()
    assert stored_files(settings) == []


def test_deleting_destroys_the_key_the_rows_and_the_bytes(
    owner, settings, django_capture_on_commit_callbacks
):
    upload = receive(owner)
    with django_capture_on_commit_callbacks(execute=True):
        delete_upload(upload)
    assert not Upload.objects.exists()
    assert not Blob.objects.exists()
    assert stored_files(settings) == []
    with pytest.raises(UnknownKey):
        upload_key(upload.pk)


def test_a_sweep_removes_orphans_and_doomed_blobs_and_spares_the_rest(owner, settings):
    kept = receive(owner)
    Blob.objects.create(upload=None, is_content=False, size=1)
    arrival = open_upload(offer(owner))
    arrival.write(TEXT)
    with transaction.atomic():
        arrival.commit()
        transaction.set_rollback(True)
    swept = sweep(grace_s=0)
    assert (swept.doomed, swept.orphans) == (1, 1)
    assert list(store().ids()) == [kept.blobs.get().pk]
    assert len(stored_files(settings)) == 1


def test_a_sweep_spares_what_is_younger_than_the_grace(owner, settings):
    arrival = open_upload(offer(owner))
    arrival.write(b"x" * 1_000_000)
    assert sweep(grace_s=3600).partials == 0
    assert sweep(grace_s=0).partials == 1
    assert stored_files(settings) == []
