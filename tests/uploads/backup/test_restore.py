"""The way back: what it refuses, and what is said when only a part of a system is left."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.uploads.backup.conftest import sha256_of
from tests.uploads.backup.installation import Installation
from uploads.backup import database, restoring
from uploads.models import Blob

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = [f"{number}.bin" for number in range(4)]


@pytest.fixture
def backup(receive: Any, tmp_path: Path, keys: Path) -> Path:
    for name in NAMES:
        receive(name)
    with pytest.raises(SystemExit):
        call_command("backup", str(tmp_path / "backup"), f"--keys={keys}", stdout=_Nowhere())
    return tmp_path / "backup"


class _Nowhere:
    def write(self, _: str) -> None:
        """Say nothing."""


@pytest.fixture
def filled(backup: Path, keys: Path, empty: Installation) -> Installation:
    """An installation with four files of one user."""
    code, printed = empty.manage("restore", str(backup), "--keys", str(keys))
    assert code == 0, printed
    return empty


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def edit_manifest(backup: Path, **changes: Any) -> None:
    path = backup / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip(path: Path, place: int = -2) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


def drop_last_line(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


Harm = Callable[[Path, Path], Any]
REFUSALS: list[tuple[str, Harm, str]] = [
    ("no backup", lambda backup, _: shutil.rmtree(backup), "no backup at"),
    ("no manifest", lambda backup, _: (backup / "manifest.json").unlink(), "not whole"),
    ("no json", lambda backup, _: (backup / "manifest.json").write_text("{"), "cannot be read"),
    ("another format", lambda backup, _: edit_manifest(backup, format="x"), "unknown format"),
    ("another database", lambda backup, _: edit_manifest(backup, vendor="oracle"), "of oracle"),
    ("a later version", lambda backup, _: edit_manifest(backup, migrations=["uploads.9999_x"]),
     "later version"),
    ("no sums", lambda backup, _: only(backup, "state/sha256sums-*").unlink(), "not whole"),
    ("changed sums", lambda backup, _: flip(only(backup, "state/sha256sums-*")), "list of sums"),
    ("no database", lambda backup, _: only(backup, "state/database-*").unlink(), "no database"),
    ("a changed database", lambda backup, _: flip(only(backup, "state/database-*")),
     "database in the backup is damaged"),
    ("no keys", lambda _, keys: keys.unlink(), "cannot be read"),
    ("changed keys", lambda _, keys: flip(keys, 200), "not a whole file of keys"),
    ("cut keys", lambda _, keys: drop_last_line(keys), "not a whole file of keys"),
    ("other keys", lambda _, keys: keys.write_text("[]\n"), "not a whole file of keys"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "sentence"), [row[1:] for row in REFUSALS],
                         ids=[row[0] for row in REFUSALS])  # fmt: skip
def test_a_backup_that_is_not_whole_is_refused_and_no_database_is_made(
    backup, keys, tmp_path, settings, monkeypatch, harm, sentence
):
    harm(backup, keys)
    monkeypatch.setattr(restoring, "refuse_unless_empty", lambda: None)
    monkeypatch.setattr(database, "bring_back", pytest.fail)
    settings.DATA_DIR = settings.UPLOADS["BLOBS_DIR"] = elsewhere = tmp_path / "restored"
    elsewhere.mkdir()
    settings.UPLOADS["MASTER_KEYS_FILE"] = elsewhere / "keys" / "master-keys.json"
    with pytest.raises(CommandError, match=sentence) as refusal:
        call_command("restore", str(backup), f"--keys={keys}")
    assert refusal.value.returncode == 2


def test_a_refused_restore_leaves_no_database(backup, keys, empty):
    (backup / "manifest.json").unlink()
    assert empty.manage("restore", str(backup), "--keys", str(keys))[0] == 2
    assert not (empty.folder / "strongroom.sqlite3").exists()


@pytest.mark.parametrize("left", ["database", "blobs"])
def test_an_installation_that_holds_anything_is_not_touched(backup, keys, filled, left):
    if left == "blobs" and connection.vendor == "sqlite":
        (filled.folder / "strongroom.sqlite3").unlink()
    else:
        shutil.rmtree(filled.folder / "blobs")
    before = {path: path.stat().st_mtime_ns for path in filled.folder.rglob("*") if path.is_file()}
    code, printed = filled.manage("restore", str(backup), "--keys", str(keys))
    assert (code, "already" in printed) == (2, True)
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {p.name for p in before if before[p] != after[p]} <= {"strongroom.sqlite3"}


@pytest.mark.faults
@pytest.mark.parametrize("harm", ["flip", "remove"])
def test_a_blob_that_the_backup_lost_is_named_and_the_rest_comes_back(backup, keys, empty, harm):
    path = min(path for path in (backup / "blobs").rglob("*") if path.is_file())
    if harm == "flip":
        flip(path)
    else:
        path.unlink()
    blob = str(Blob.objects.get(pk=path.name).pk)
    code, printed = empty.manage("restore", str(backup), "--keys", str(keys))
    fault = {"flip": "damaged", "remove": "missing"}[harm]
    assert (code, f"{fault}    blob {blob}" in printed) == (1, True)
    code, report = empty.verify()
    assert (code, [(f["fault"], f["blob"]) for f in report["findings"]]) == (1, [(fault, blob)])


def test_secrets_come_back_and_those_in_their_places_are_kept_aside(backup, keys, filled, settings):
    folder = filled.folder / "keys"
    restored = (folder / "master-keys.json").read_bytes()
    assert restored == Path(settings.UPLOADS["MASTER_KEYS_FILE"]).read_bytes()
    assert (folder / "master-keys.json.before-restore").read_bytes() != restored
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.faults
def test_with_all_blobs_lost_each_is_named(filled):
    shutil.rmtree(filled.folder / "blobs")
    code, report = filled.verify()
    assert code == 1
    assert {f["fault"] for f in report["findings"]} == {"missing"}
    named = {f["blob"] for f in report["findings"]}
    assert named == {str(pk) for pk in Blob.objects.values_list("pk", flat=True)}


@pytest.mark.faults
def test_with_the_key_store_lost_each_file_is_named(filled):
    database = sqlite3.connect(filled.folder / "strongroom.sqlite3")
    database.execute("DELETE FROM uploads_uploadkey")
    database.commit()
    database.close()
    code, report = filled.verify()
    assert (code, {f["fault"] for f in report["findings"]}) == (1, {"no_key"})
    assert len(report["findings"]) == len(NAMES)


@pytest.mark.faults
def test_with_the_master_keys_lost_it_could_not_look(filled):
    (filled.folder / "keys" / "master-keys.json").unlink()
    code, printed = filled.manage("verify")
    assert (code != 0, "Restore it from your backup of the keys" in printed) == (True, True)


@pytest.mark.faults
def test_with_other_master_keys_in_their_place_nothing_opens(filled):
    folder = filled.folder / "keys"
    (folder / "master-keys.json.before-restore").rename(folder / "master-keys.json")
    code, report = filled.verify()
    assert code == 1
    assert [f["detail"] for f in report["findings"]] == ["wrapped_key"] * len(NAMES)


@pytest.mark.faults
def test_with_the_database_lost_it_could_not_look_and_with_an_empty_one_all_is_orphaned(filled):
    (filled.folder / "strongroom.sqlite3").unlink()
    assert filled.manage("verify")[0] == 2
    assert filled.manage("migrate", "-v0")[0] == 0
    code, report = filled.verify()
    assert (code, {f["fault"] for f in report["findings"]}) == (1, {"orphaned"})
    assert len(report["findings"]) == len(NAMES)


@pytest.mark.faults
def test_an_older_database_over_newer_blobs_is_told_apart(backup, filled, receive, keys, tmp_path):
    """The blobs of one time with the database of another: each difference has its name."""
    assert filled.inventory() == {name: sha256_of(name) for name in NAMES}
    blobs = sorted(p for p in (filled.folder / "blobs").rglob("*") if p.is_file())
    stray = blobs[0].with_name(blobs[0].name[:2] + "0" * 30)
    shutil.copy(blobs[1], stray)
    blobs[2].unlink()
    code, report = filled.verify()
    assert code == 1
    named = {(f["fault"], f["blob"].replace("-", "")) for f in report["findings"]}
    assert named == {("orphaned", stray.name), ("missing", blobs[2].name)}
