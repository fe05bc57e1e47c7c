"""Erasure: keys first, a record that stays, and bytes that go in the end."""

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse

from tests.conftest import OWNER
from uploads import deletion, erasures
from uploads.deletion import delete_upload, delete_user, remove_doomed, sweep
from uploads.encryption import UnknownKey
from uploads.erasures import Cause
from uploads.intake import Offer, receive_upload
from uploads.key_models import Erasure, OwnerKey, UploadKey
from uploads.keys import add_upload_key, upload_key
from uploads.models import Blob, Door, Quota, Upload, UploadSession
from uploads.storage import StorageFailed
from uploads.storage.local import LocalStore
from uploads.tus import sessions

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("pipelines")]

NAME = "very-private-name.txt"


def receive(owner: Any) -> Upload:
    offer = Offer(owner=owner, name=NAME, declared_type="", door=Door.API)
    return receive_upload(offer, io.BytesIO(b"content" * 1000))


def blobs_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def failing_storage(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def refuse(*_: Any) -> None:
        raise StorageFailed

    monkeypatch.setattr(LocalStore, "remove", refuse)
    return monkeypatch


def test_the_record_says_who_when_and_which_and_nothing_else(owner, settings):
    upload = receive(owner)
    delete_upload(upload, cause=Cause(Erasure.Via.OWNER, owner.pk))
    record = Erasure.objects.get()
    assert (record.kind, record.subject_id, record.owner_id) == ("upload", upload.pk, owner.pk)
    assert (record.by_id, record.via, record.keys_destroyed) == (owner.pk, "owner", 1)
    assert record.done_at
    assert record.done_at >= record.erased_at
    assert {field.name for field in Erasure._meta.get_fields()} == {
        "id", "kind", "subject_id", "owner_id", "by_id", "via", "keys_destroyed", "erased_at",
        "done_at",
    }  # fmt: skip
    assert blobs_in(settings.UPLOADS["BLOBS_DIR"]) == []


def test_bytes_that_cannot_be_removed_are_tried_again_until_they_are_gone(
    owner, settings, failing_storage
):
    upload = receive(owner)
    delete_upload(upload)
    with pytest.raises(UnknownKey):
        upload_key(upload.pk)
    assert Erasure.objects.get().done_at is None
    assert remove_doomed() == 0
    assert Erasure.objects.get().done_at is None
    assert len(blobs_in(settings.UPLOADS["BLOBS_DIR"])) == 1
    failing_storage.undo()
    settings.UPLOADS = {**configured.UPLOADS, "BLOBS_DIR": settings.UPLOADS["BLOBS_DIR"]}
    assert remove_doomed() == 1
    assert Erasure.objects.get().done_at is not None
    assert not Blob.objects.exists()


def test_keys_go_before_anything_else(owner, monkeypatch):
    upload = receive(owner)
    order: list[str] = []
    delete_key, delete_row = erasures.erase_upload, Upload.delete

    def first(*arguments: Any) -> Any:
        order.append("key")
        return delete_key(*arguments)

    def second(self: Upload, *arguments: Any, **options: Any) -> Any:
        order.append("row")
        return delete_row(self, *arguments, **options)

    monkeypatch.setattr(erasures, "erase_upload", first)
    monkeypatch.setattr(Upload, "delete", second)
    monkeypatch.setattr(LocalStore, "remove", lambda *_: order.append("bytes"))
    delete_upload(upload)
    assert order == ["key", "row", "bytes"]


def test_what_is_erased_and_comes_back_is_erased_again(owner, settings):
    """As after a restore of everything but the keys."""
    upload = receive(owner)
    row, blob = Upload.objects.get(), Blob.objects.get()
    (path,) = blobs_in(settings.UPLOADS["BLOBS_DIR"])
    raw = path.read_bytes()
    delete_upload(upload)
    first = Erasure.objects.get()
    row.save(force_insert=True)
    blob.save(force_insert=True)
    Quota.objects.update(used_files=1, used_bytes=row.size)
    path.write_bytes(raw)
    assert sweep().erased_again == 1
    assert not Upload.objects.exists()
    assert not path.exists()
    again = Erasure.objects.get()
    assert (again.pk, again.erased_at) == (first.pk, first.erased_at)
    assert again.done_at


def test_members_of_a_file_lose_their_keys_with_it(owner):
    parent, member, grandchild = [receive(owner) for _ in range(3)]
    for depth, (row, above) in enumerate([(member, parent), (grandchild, member)], start=1):
        Upload.objects.filter(pk=row.pk).update(parent=above, root_id=parent.pk, depth=depth)
    delete_upload(parent)
    assert not UploadKey.objects.exists()
    assert not Upload.objects.exists()
    subjects = set(Erasure.objects.values_list("subject_id", flat=True))
    assert subjects == {parent.pk, member.pk, grandchild.pk}


def test_a_user_goes_with_everything_and_others_stay(owner, stranger, settings):
    mine, _, theirs = receive(owner), receive(owner), receive(stranger)
    token, _ = sessions.create(
        sessions.Caller(owner, Door.API, None), length=10, metadata=f"filename {'YQ=='}"
    )
    assert token
    drop = settings.UPLOADS["DROP_DIR"] / owner.username / "unprocessed"
    drop.mkdir(parents=True, exist_ok=True)
    (drop / "plain.txt").write_text("not taken in yet")
    delete_user(owner, cause=Cause(Erasure.Via.COMMAND))
    assert list(Upload.objects.all()) == [theirs]
    assert not UploadSession.objects.exists()
    assert [row.owner_id for row in OwnerKey.objects.all()] == [stranger.pk]
    assert [row.pk for row in UploadKey.objects.all()] == [theirs.pk]
    assert len(blobs_in(settings.UPLOADS["BLOBS_DIR"])) == 1
    assert not drop.parent.exists()
    record = Erasure.objects.get(kind="user")
    assert (record.subject_id, record.via, record.done_at is None) == (
        mine.owner_id, "command", False,
    )  # fmt: skip
    assert record.keys_destroyed == 1 + 3


@pytest.mark.parametrize("name", ["..", "."])
def test_no_name_of_a_user_reaches_another_folder(settings, tmp_path, name):
    settings.UPLOADS = {**settings.UPLOADS, "DROP_DIR": tmp_path / "in" / "drop"}
    (tmp_path / "in" / "drop" / "other").mkdir(parents=True)
    deletion._remove_drop_folder(name)
    assert (tmp_path / "in" / "drop" / "other").exists()


def test_an_interrupted_erasure_of_a_user_is_finished_by_the_sweep(owner, monkeypatch):
    receive(owner)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(deletion, "delete_upload", die)
        with pytest.raises(KeyboardInterrupt):
            delete_user(owner)
    assert not OwnerKey.objects.exists()
    assert not UploadKey.objects.exists()
    sweep()
    assert not type(owner).objects.filter(pk=owner.pk).exists()
    assert not Upload.objects.exists()
    assert not Erasure.objects.filter(done_at=None).exists()


def test_keys_of_what_never_became_an_upload_are_swept_and_no_others(owner):
    kept = receive(owner)
    session = sessions.create(
        sessions.Caller(owner, Door.API, None), length=10, metadata="filename YQ=="
    )[1]
    add_upload_key(uuid4(), owner.pk, bytes(32))
    assert sweep(grace_s=3600).keys == 0
    assert erasures.sweep_keys(grace_s=0) == 1
    assert set(UploadKey.objects.values_list("pk", flat=True)) == {kept.pk, session.upload_id}


@pytest.mark.skipif(
    "sqlite" not in configured.DATABASES["default"]["ENGINE"], reason="a file to look into"
)
def test_a_destroyed_key_is_not_left_in_the_file_of_the_database(owner):
    upload = receive(owner)
    wrapped = bytes(UploadKey.objects.get().wrapped)
    file = Path(connection.settings_dict["NAME"])

    def found() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return any(
            wrapped in path.read_bytes()
            for path in (file, file.with_name(file.name + "-wal"))
            if path.exists()
        )

    assert found(), "the control: before, it is there"
    delete_upload(upload)
    assert not found()


class TestCommand:
    """`manage.py erase`."""

    def test_an_upload_goes(self, owner, capsys):
        upload = receive(owner)
        call_command("erase", f"--upload={upload.pk}", "--yes")
        assert (Erasure.objects.get().via, Upload.objects.exists()) == ("command", False)
        assert NAME not in capsys.readouterr().out

    def test_a_user_goes(self, owner):
        receive(owner)
        call_command("erase", f"--user={OWNER}", "--yes")
        assert not type(owner).objects.exists()

    def test_without_a_yes_nothing_goes(self, owner, monkeypatch):
        upload = receive(owner)
        monkeypatch.setattr("builtins.input", lambda _: "y")
        with pytest.raises(CommandError, match="Nothing was erased"):
            call_command("erase", f"--upload={upload.pk}")
        assert Upload.objects.exists()

    @pytest.mark.parametrize(
        "what", ["--user=nobody", "--upload=00000000-0000-0000-0000-000000000000"]
    )
    def test_what_is_not_there_is_said(self, what):
        with pytest.raises(CommandError, match="There is no"):
            call_command("erase", what, "--yes")


class TestAdmin:
    """Administrators erase; they see no name."""

    @pytest.fixture
    def admin_page(self, client, administrator):
        client.force_login(administrator)
        return client

    def test_an_upload_can_be_deleted(self, admin_page, administrator, owner):
        upload = receive(owner)
        page = reverse("admin:uploads_upload_delete", args=[upload.pk])
        assert NAME not in admin_page.get(page).content.decode()
        assert admin_page.post(page, {"post": "yes"}).status_code == 302
        record = Erasure.objects.get()
        assert (record.via, record.by_id) == ("admin", administrator.pk)
        assert not UploadKey.objects.exists()

    def test_a_user_with_files_can_be_deleted(self, admin_page, administrator, owner):
        receive(owner)
        page = reverse("admin:accounts_user_delete", args=[owner.pk])
        assert admin_page.get(page).status_code == 200
        assert admin_page.post(page, {"post": "yes"}).status_code == 302
        assert not type(owner).objects.filter(pk=owner.pk).exists()
        assert Erasure.objects.get(kind="user").by_id == administrator.pk

    def test_several_at_once(self, admin_page, owner, stranger):
        for user in (owner, stranger):
            receive(user)
        page = reverse("admin:accounts_user_changelist")
        chosen = {"action": "delete_selected", "_selected_action": [owner.pk, stranger.pk]}
        assert admin_page.post(page, {**chosen, "post": "yes"}).status_code == 302
        assert not OwnerKey.objects.exists()

    def test_no_name_of_the_user_stays_in_a_record(self, admin_page, owner):
        from django.contrib.admin.models import LogEntry

        admin_page.post(reverse("admin:accounts_user_delete", args=[owner.pk]), {"post": "yes"})
        assert not LogEntry.objects.filter(object_repr__contains=OWNER).exists()


def test_a_rolled_back_deletion_destroys_nothing(owner):
    upload = receive(owner)
    with transaction.atomic():
        delete_upload(upload)
        transaction.set_rollback(True)
    assert upload_key(upload.pk)
    assert not Erasure.objects.exists()
