"""What `manage.py verify` and `manage.py gc` say of a storage that was harmed, one way each."""

import io
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from uploads.deletion import delete_upload
from uploads.intake import Offer, open_upload, receive_upload
from uploads.key_models import OwnerKey
from uploads.keys import destroy_upload_key
from uploads.models import Blob, Door, Upload
from uploads.storage import StorageFailed, store
from uploads.storage.local import LocalBlob
from uploads.verification import blobs_of, look_at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

TEXT = b"one line\nand another\n" * 40_000  # several segments


def receive(owner: Any, content: bytes = TEXT) -> Upload:
    offer = Offer(owner=owner, name="notes.txt", declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(content))


def path_of(upload: Upload, settings: Any) -> Path:
    blob_id = upload.blobs.get(is_content=True).pk
    folder: Path = settings.UPLOADS["BLOBS_DIR"]
    return folder / blob_id.hex[:2] / blob_id.hex


def verify(*arguments: str, grace: float = 0) -> tuple[int, Any]:
    """Return exit code and report."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ending:
        call_command("verify", "--json", f"--grace={grace}", *arguments, stdout=out)
    return int(ending.value.code or 0), json.loads(out.getvalue())


def found(report: Any) -> list[tuple[str, str]]:
    return [(finding["fault"], finding["detail"]) for finding in report["findings"]]


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


def test_a_whole_storage_is_well(owner):
    uploads = [receive(owner) for _ in range(3)]
    code, report = verify()
    assert code == 0
    assert report == {
        "ok": True,
        "checked": {"blobs": 3, "bytes": sum(upload.size for upload in uploads)},
        "findings": [],
    }


Harm = Callable[[Upload, Path], Any]


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _drop_owner_key(upload: Upload) -> None:
    OwnerKey.objects.filter(pk=upload.owner_id).delete()


HARMS: list[tuple[Harm, str, str]] = [
    (lambda _, path: flip(path, 0), "damaged", "envelope"),
    (lambda _, path: flip(path, 80), "damaged", "wrapped_key"),
    (lambda _, path: flip(path, 150), "damaged", "header"),
    (lambda _, path: flip(path, 300_000), "damaged", "segment"),
    (lambda _, path: flip(path, -1), "damaged", "segment"),
    (lambda _, path: _shrink(path), "damaged", "segment"),
    (lambda _, path: path.write_bytes(b""), "damaged", "length"),
    (lambda _, path: path.unlink(), "missing", "bytes"),
    (lambda upload, _: destroy_upload_key(upload.pk), "no_key", "key"),
    (lambda upload, _: _drop_owner_key(upload), "no_key", "key"),
    (lambda upload, _: upload.blobs.update(size=1), "damaged", "size"),
    (lambda upload, _: Upload.objects.update(size=1), "damaged", "size"),
    (lambda upload, _: Upload.objects.update(sha256="0" * 64), "damaged", "sha256"),
    (lambda upload, _: Upload.objects.update(sealed_name=bytes(60)), "damaged", "sealed_value"),
    (lambda upload, _: upload.blobs.update(is_content=False), "missing", "blob row"),
    (lambda _, path: path.with_name(f"{path.name[:2]}{'0' * 30}").write_bytes(b""),
     "orphaned", "row"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "fault", "detail"), HARMS)
def test_a_fault_is_named_and_others_are_well(
    owner, stranger, settings, caplog, harm, fault, detail
):
    upload, other = receive(owner), receive(stranger)
    blob = upload.blobs.get()
    sizes = Upload.objects.filter(pk=other.pk).values("size", "sha256", "sealed_name").get()
    harm(upload, path_of(upload, settings))
    Upload.objects.filter(pk=other.pk).update(**sizes)
    ended, report = verify()
    findings = report["findings"]
    assert ended == 1
    mine = [found for found in findings if (found["fault"], found["detail"]) == (fault, detail)]
    assert mine
    assert {found["upload"] for found in findings} <= {str(upload.pk), None}
    if fault != "orphaned" and detail != "blob row":
        assert {found["blob"] for found in mine} == {str(blob.pk)}
    logged = [r for r in caplog.records if r.getMessage() == "verification found a fault"]
    assert fault in {record.__dict__["fault"] for record in logged}


def test_a_storage_that_gives_no_bytes_is_not_called_well(owner, monkeypatch):
    receive(owner)

    def refuse(*_: Any) -> bytes:
        raise StorageFailed

    monkeypatch.setattr(LocalBlob, "read_at", refuse)
    code, report = verify()
    assert (code, found(report)) == (2, [("unreadable", "bytes")])


def test_without_a_key_ring_it_could_not_look(owner, settings, tmp_path):
    receive(owner)
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_FILE": tmp_path / "none.json"}
    with pytest.raises(CommandError) as refusal:
        call_command("verify")
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("argument", ["--user=nobody", f"--upload={UUID(int=1)}"])
def test_what_does_not_exist_could_not_be_looked_at(argument):
    with pytest.raises(CommandError) as refusal:
        call_command("verify", argument)
    assert refusal.value.returncode == 2


@pytest.mark.parametrize("sample", ["0%", "101%", "-1%", "many"])
def test_a_sample_is_a_percentage(sample):
    with pytest.raises(CommandError, match="percentage"):
        call_command("verify", f"--sample={sample}")


def test_one_user_or_one_upload_can_be_looked_at(owner, stranger, settings):
    mine, theirs = receive(owner), receive(stranger)
    path_of(theirs, settings).unlink()
    assert verify(f"--user={owner.username}")[0] == 0
    assert verify(f"--upload={mine.pk}")[0] == 0
    assert verify(f"--user={stranger.username}")[0] == 1
    assert verify(f"--upload={theirs.pk}")[0] == 1


def test_samples_of_successive_days_cover_everything_once(owner, monkeypatch):
    expected = sorted(receive(owner, b"x").pk for _ in range(20))
    seen: list[Any] = []
    checked: list[Any] = []
    monkeypatch.setattr(
        "uploads.verification._check", lambda blob, _: checked.append(blob.upload_id)
    )
    for day in range(1, 5):
        monkeypatch.setattr(
            "uploads.verification.timezone.now", lambda day=day: datetime(2026, 1, day, tzinfo=UTC)
        )
        seen += list(look_at(blobs_of(), slices=4))
    assert sorted(checked) == expected
    assert sum(look.checked for look in seen) == 20


def test_what_is_deleted_meanwhile_is_no_fault(
    owner, settings, monkeypatch, django_capture_on_commit_callbacks
):
    uploads = [receive(owner) for _ in range(2)]
    looks = look_at(blobs_of())
    monkeypatch.setattr("uploads.verification.open_blob", _deleting(uploads))
    with django_capture_on_commit_callbacks(execute=True):
        assert [look.findings for look in looks] == [(), ()]


def _deleting(uploads: list[Upload]) -> Callable[[Blob], Any]:
    from uploads.reading import open_blob

    def delete_then_open(blob: Blob) -> Any:
        for upload in uploads:
            if upload.pk == blob.upload_id:
                delete_upload(upload)
                store().remove(blob.pk)
        return open_blob(blob)

    return delete_then_open


def test_bytes_that_may_still_get_a_row_are_not_called_orphaned(owner):
    offer = Offer(owner=owner, name="a.txt", declared_type="", door=Door.API)
    arrival = open_upload(offer)
    arrival.write(TEXT)
    with transaction.atomic():
        arrival.commit()
        transaction.set_rollback(True)
    assert verify(grace=60) == (
        0,
        {"ok": True, "checked": {"blobs": 0, "bytes": 0}, "findings": []},
    )
    code, report = verify()
    assert (code, found(report)) == (1, [("orphaned", "row")])


def test_artifacts_are_compared_with_their_rows(owner, settings):
    from processing import queue, runner
    from processing.models import Artifact

    upload = receive(owner, b"an ERROR here\n")
    upload.refresh_from_db()
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    assert Artifact.objects.exists()
    code, report = verify()
    assert (code, report["findings"]) == (0, [])
    assert report["checked"]["blobs"] == Blob.objects.count() > 1
    Artifact.objects.update(sha256="0" * 64)
    code, report = verify()
    assert (code, set(found(report))) == (1, {("damaged", "sha256")})
    Artifact.objects.all().delete()
    assert set(found(verify()[1])) == {("orphaned", "artifact row")}


def test_the_report_for_people_names_the_blob(owner, settings, capsys):
    upload = receive(owner)
    path_of(upload, settings).unlink()
    with pytest.raises(SystemExit):
        call_command("verify")
    out = capsys.readouterr()
    assert f"missing    blob {upload.blobs.get().pk}  upload {upload.pk}" in out.out
    assert "1 missing" in out.out
    assert out.err == ""  # no terminal, no bar


def test_after_a_gc_storage_holds_what_the_rows_name(owner, settings, capsys):
    kept = receive(owner)
    orphan = uuid4()
    sink = store().create(orphan)
    sink.write(b"nobody knows me")
    sink.commit()
    store().create(uuid4()).write(b"half")
    Blob.objects.create(upload=None, is_content=False, size=1)
    call_command("gc", grace=3600)
    assert orphan in set(store().ids())
    call_command("gc", grace=0)
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))
    assert [p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file()] == [
        path_of(kept, settings)
    ]
    assert capsys.readouterr().out.splitlines() == [
        "1 doomed blobs, 0 orphans, 0 interrupted writes, 0 keys of nothing, "
        "0 old events removed; 0 uploads erased again.",
        "0 doomed blobs, 1 orphans, 1 interrupted writes, 0 keys of nothing, "
        "0 old events removed; 0 uploads erased again.",
    ]


def test_a_gc_goes_on_where_one_blob_cannot_be_removed(owner, monkeypatch, caplog):
    from uploads.storage.local import LocalStore

    stuck, loose = (uuid4() for _ in range(2))
    for blob_id in (stuck, loose):
        sink = store().create(blob_id)
        sink.commit()
    original = LocalStore.remove

    def remove(self: LocalStore, blob_id: Any) -> None:
        if blob_id == stuck:
            raise StorageFailed
        original(self, blob_id)

    monkeypatch.setattr(LocalStore, "remove", remove)
    with caplog.at_level(logging.WARNING):
        call_command("gc", grace=0)
    assert set(store().ids()) == {stuck}
    assert "blob not removed yet" in caplog.text


def test_the_night_tidies_up_and_looks_at_a_sample(owner, settings, monkeypatch, caplog):
    upload = receive(owner)
    path_of(upload, settings).unlink()
    settings.UPLOADS = {**settings.UPLOADS, "NIGHTLY_SAMPLE": "100%"}
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)
    with caplog.at_level(logging.INFO):
        call_command("nightly", "--now")
    (ended,) = (r for r in caplog.records if r.getMessage() == "nightly command ended")
    assert (ended.__dict__["command"], ended.__dict__["exit_code"]) == ("verify", 1)


@pytest.mark.parametrize(
    ("now", "at", "due"),
    [("01:00", "03:00", (1, 3, 0)), ("03:00", "03:00", (2, 3, 0)), ("23:59", "00:05", (2, 0, 5))],
)
def test_the_night_comes_once_a_day(now, at, due):
    from uploads.management.commands.nightly import next_night

    hour, minute = map(int, now.split(":"))
    night = next_night(datetime(2026, 1, 1, hour, minute, tzinfo=UTC), at=at)
    assert (night.day, night.hour, night.minute) == due
