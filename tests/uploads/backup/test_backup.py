"""Backups of a running system: what is in them, and what is not."""

import io
import json
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.uploads.backup.conftest import sha256_of
from uploads.backup import database, making
from uploads.deletion import delete_upload
from uploads.key_models import OwnerKey, UploadKey
from uploads.models import Upload

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = [f"{number}.bin" for number in range(6)]


def back_up(target: Path, *arguments: str) -> tuple[int, str]:
    """Return exit code, and what was printed."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ending:
        call_command("backup", str(target), *arguments, stdout=out, stderr=io.StringIO())
    return int(ending.value.code or 0), out.getvalue()


def blobs_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs").rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", ["folder", pytest.param("file.tar", marks=pytest.mark.faults)])
def test_a_backup_comes_back_on_an_empty_machine(receive, tmp_path, keys, empty, target):
    for name in NAMES:
        receive(name)
    assert back_up(tmp_path / target, f"--keys={keys}")[0] == 0
    code, printed = empty.manage("restore", str(tmp_path / target), "--keys", str(keys))
    assert code == 0, printed
    assert empty.inventory() == {name: sha256_of(name) for name in NAMES}
    code, report = empty.verify()
    assert (code, report["findings"], report["checked"]["blobs"]) == (0, [], len(NAMES))


def rows_in(database: Path, table: str) -> int:
    """Return how many rows of a table the database in a backup holds."""
    if connection.vendor == "sqlite":
        rows = sqlite3.connect(database)
        (count,) = rows.execute(f"SELECT count(*) FROM {table}").fetchone()
        rows.close()
        return int(count)
    command = ["pg_restore", "--data-only", f"--table={table}", "--file=-", str(database)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    _, copied, rest = text.partition(f"COPY public.{table} ")
    return len(rest.partition("\n\\.\n")[0].splitlines()) - 1 if copied else 0


def test_the_backup_alone_holds_no_key(receive, tmp_path, keys, settings):
    for name in NAMES:
        receive(name)
    back_up(tmp_path / "backup", f"--keys={keys}")
    wrapped = [bytes(row.wrapped) for model in (OwnerKey, UploadKey) for row in model.objects.all()]
    ring = json.loads(Path(settings.UPLOADS["MASTER_KEYS_FILE"]).read_text())
    secrets = [*wrapped, *(text.encode() for text in ring["keys"].values())]
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert len(secrets) == 1 + len(NAMES) + 1
    assert not [file for file in files if any(secret in file.read_bytes() for secret in secrets)]
    (database,) = (tmp_path / "backup").glob("state/database-*")
    assert rows_in(database, "uploads_uploadkey") == 0
    assert rows_in(database, "uploads_upload") == len(NAMES)
    assert {file.stat().st_mode & 0o777 for file in [*files, keys]} == {0o600}


def test_a_second_backup_takes_only_what_is_new_and_drops_what_was_deleted(
    receive, tmp_path, keys, empty
):
    first, *_ = [receive(name) for name in NAMES]
    folder = tmp_path / "backup"
    assert "6 blobs are new" in back_up(folder, f"--keys={keys}")[1]
    delete_upload(first)
    receive("late.bin")
    assert "1 blobs are new" in back_up(folder, f"--keys={keys}")[1]
    stored = Upload.objects.values_list("blobs", flat=True)
    assert blobs_in(folder) == {blob_id.hex for blob_id in stored}
    assert len(list((folder / "state").iterdir())) == 2
    (sums,) = (folder / "state").glob("sha256sums-*")
    check = ["sha256sum", "--check", "--strict", "--quiet", str(sums)]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    assert empty.manage("restore", str(folder), "--keys", str(keys))[0] == 0
    assert empty.inventory() == {name: sha256_of(name) for name in [*NAMES[1:], "late.bin"]}


def test_a_blob_that_is_there_with_another_size_is_copied_again(receive, tmp_path):
    receive("a.bin")
    folder = tmp_path / "backup"
    back_up(folder)
    (blob,) = (path for path in (folder / "blobs").rglob("*") if path.is_file())
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    back_up(folder)
    assert blob.read_bytes() == whole


@pytest.mark.faults
def test_an_interrupted_backup_leaves_the_earlier_one_as_it_was(
    receive, tmp_path, keys, monkeypatch, empty
):
    receive("first.bin")
    folder = tmp_path / "backup"
    back_up(folder, f"--keys={keys}")
    receive("second.bin")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(making, "write_manifest", die)
        with pytest.raises(KeyboardInterrupt):
            call_command("backup", str(folder), f"--keys={keys}")
    assert len(blobs_in(folder)) == 2
    code, printed = empty.manage("restore", str(folder), "--keys", str(keys))
    assert code == 0, printed
    assert empty.inventory() == {"first.bin": sha256_of("first.bin")}
    assert empty.verify()[0] == 0
    assert "1 blobs are new" in back_up(folder)[1]  # what no list names is not trusted


@pytest.mark.faults
def test_uploads_may_come_and_go_meanwhile(receive, tmp_path, keys, empty, monkeypatch):
    for name in NAMES:
        receive(name)
    coming = threading.Event()
    stop = threading.Event()
    seen: list[str] = []

    def come_and_go() -> None:
        try:
            while not stop.is_set():
                name = f"during-{len(seen)}.bin"
                upload = receive(name)
                seen.append(name)
                if len(seen) % 2:
                    delete_upload(upload)
                coming.set()
        finally:
            connection.close()

    original = database.take_snapshot

    def take_snapshot(path: Path) -> Any:
        coming.wait()
        return original(path)

    monkeypatch.setattr(making, "take_snapshot", take_snapshot)
    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    code, printed = back_up(tmp_path / "backup", f"--keys={keys}")
    stop.set()
    for thread in threads:
        thread.join()
    assert code == 0, printed
    assert empty.manage("restore", str(tmp_path / "backup"), "--keys", str(keys))[0] == 0
    assert empty.verify()[0] == 0
    inventory = empty.inventory()
    assert set(NAMES) <= set(inventory)
    assert all(digest == sha256_of(name) for name, digest in inventory.items())


@pytest.mark.parametrize(
    "moment",
    [
        "_copy_blobs",
        pytest.param("write_keys", marks=pytest.mark.faults),
        pytest.param("_no_longer_there", marks=pytest.mark.faults),
    ],
)
def test_what_is_deleted_while_a_backup_is_made_does_not_come_back(
    receive, tmp_path, keys, empty, monkeypatch, moment
):
    doomed, *_ = [receive(name) for name in NAMES]
    original = getattr(making, moment)

    def delete_first(*arguments: Any) -> Any:
        delete_upload(doomed)
        return original(*arguments)

    monkeypatch.setattr(making, moment, delete_first)
    code, printed = back_up(tmp_path / "backup", f"--keys={keys}")
    assert (code, "1 uploads were deleted meanwhile" in printed) == (0, True)
    assert empty.manage("restore", str(tmp_path / "backup"), "--keys", str(keys))[0] == 0
    assert set(empty.inventory()) == set(NAMES[1:])
    assert empty.verify()[0] == 0


@pytest.mark.faults
def test_a_blob_that_is_lost_is_named_and_the_rest_is_backed_up(
    receive, tmp_path, keys, settings, empty
):
    lost, *_ = [receive(name) for name in NAMES]
    blob_id = lost.blobs.get().pk
    (settings.UPLOADS["BLOBS_DIR"] / blob_id.hex[:2] / blob_id.hex).unlink()
    code, printed = back_up(tmp_path / "backup", f"--keys={keys}")
    assert (code, f"missing    blob {blob_id}" in printed) == (1, True)
    code, printed = empty.manage("restore", str(tmp_path / "backup"), "--keys", str(keys))
    assert (code, f"missing    blob {blob_id}" in printed) == (1, True)
    code, report = empty.verify()
    assert code == 1
    assert [(f["fault"], f["blob"]) for f in report["findings"]] == [("missing", str(blob_id))]


@pytest.mark.parametrize("place", ["keys", "deep/er/keys"])
def test_keys_inside_the_backup_are_refused(tmp_path, place):
    with pytest.raises(CommandError, match="must not lie inside the backup"):
        call_command("backup", str(tmp_path / "b"), f"--keys={tmp_path / 'b' / place}")


def test_a_proof_restores_reads_everything_and_leaves_nothing(receive, tmp_path, keys, empty):
    receive("a.bin")
    back_up(tmp_path / "backup", f"--keys={keys}")
    room = tmp_path / "room"
    room.mkdir()
    arguments = [str(tmp_path / "backup"), "--keys", str(keys), "--folder", str(room)]
    code, printed = empty.manage("verify_restore", *arguments)
    assert code == 0, printed
    assert list(room.iterdir()) == []
    (blob,) = (path for path in (tmp_path / "backup" / "blobs").rglob("*") if path.is_file())
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.write_bytes(bytes(raw))
    code, printed = empty.manage("verify_restore", *arguments)
    assert code == 1
    assert f"damaged    blob {Upload.objects.get().blobs.get().pk}" in printed
    assert list(room.iterdir()) == []


@pytest.mark.slow
def test_a_thousand_files_come_back(receive, tmp_path, keys, empty):
    names = [f"{number}.bin" for number in range(1000)]
    for name in names:
        receive(name)
    back_up(tmp_path / "backup", f"--keys={keys}")
    assert empty.manage("restore", str(tmp_path / "backup"), "--keys", str(keys))[0] == 0
    assert empty.inventory() == {name: sha256_of(name) for name in names}
