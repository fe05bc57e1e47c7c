"""Keys in a database of their own: what an older copy of everything else still gives."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.uploads.backup.installation import Installation
from uploads import key_store
from uploads.key_models import Erasure, OwnerKey, UploadKey
from uploads.models import Upload

UUID = re.compile(r"[0-9a-f-]{36}")
RECEIVE = """
import io, sys
from config.accounts.models import User
from uploads.intake import Offer, receive_upload
from uploads.models import Door
from processing.definitions import sync_builtin
sync_builtin()
for owner, name in (("ada", "kept.txt"), ("ada", "erased.txt"), ("bob", "of-bob.txt")):
    user, _ = User.objects.get_or_create(username=owner)
    offer = Offer(owner=user, name=name, declared_type="", door=Door.API)
    print(receive_upload(offer, io.BytesIO(name.encode() * 500)).pk)
"""


@pytest.fixture
def apart(tmp_path: Path) -> Installation:
    """An installation with a database of its own for keys, and three files of two users."""
    keys = tmp_path / "apart" / "keys.sqlite3"
    keys.parent.mkdir()
    installation = Installation(
        tmp_path / "house", STRONGROOM_KEYS_DATABASE_URL=f"sqlite:///{keys}"
    )
    code, printed = installation.manage("prepare")
    assert code == 0, printed
    code, printed = installation.manage("shell", "-v0", "-c", RECEIVE)
    assert code == 0, printed
    installation.uploads = [line for line in printed.splitlines() if UUID.fullmatch(line)]
    return installation


def copy_of(installation: Installation, to: Path) -> None:
    """Copy database and blobs as a backup program would, the system being still."""
    shutil.copytree(installation.folder, to)


def put_back(copy: Path, installation: Installation) -> None:
    for path in installation.folder.glob("strongroom.sqlite3*"):
        path.unlink()
    shutil.rmtree(installation.folder / "blobs")
    for path in copy.glob("strongroom.sqlite3*"):
        shutil.copy(path, installation.folder)
    shutil.copytree(copy / "blobs", installation.folder / "blobs")


def tables(path: Path) -> set[str]:
    database = sqlite3.connect(path)
    names = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    database.close()
    return names


@pytest.mark.faults
def test_an_older_copy_gives_nothing_of_what_was_erased(apart, tmp_path):
    keys, older_keys = tmp_path / "apart", tmp_path / "older-keys"
    _, erased, _ = apart.uploads
    assert set(apart.inventory()) == {"kept.txt", "erased.txt", "of-bob.txt"}
    copy_of(apart, tmp_path / "copy")
    shutil.copytree(keys, older_keys)
    assert apart.manage("erase", f"--upload={erased}", "--yes")[0] == 0
    assert apart.manage("erase", "--user=bob", "--yes")[0] == 0
    assert set(apart.inventory()) == {"kept.txt"}

    put_back(tmp_path / "copy", apart)
    code, report = apart.verify()
    assert (code, {f["fault"] for f in report["findings"]}) == (1, {"no_key"})
    assert len(report["findings"]) == 2
    code, printed = apart.manage("gc")
    assert "erased again" in printed
    assert set(apart.inventory()) == {"kept.txt"}
    assert apart.verify()[0] == 0

    put_back(tmp_path / "copy", apart)  # the control: with older keys beside it, all opens
    shutil.rmtree(keys)
    shutil.copytree(older_keys, keys)
    assert set(apart.inventory()) == {"kept.txt", "erased.txt", "of-bob.txt"}


def test_no_key_enters_the_main_database(apart, tmp_path):
    ours = {model._meta.db_table for model in key_store.MODELS}
    assert ours & tables(apart.folder / "strongroom.sqlite3") == set()
    in_the_other = tables(tmp_path / "apart" / "keys.sqlite3")
    assert in_the_other >= ours
    assert not {name for name in in_the_other if name.startswith(("accounts", "processing"))}


@pytest.mark.faults
def test_a_restore_beside_the_keys_leaves_erased_what_was_erased(apart, tmp_path):
    _, erased, _ = apart.uploads
    file = tmp_path / "keys-file"
    assert apart.manage("backup", str(tmp_path / "backup"), f"--keys={file}")[0] == 0
    assert apart.manage("erase", f"--upload={erased}", "--yes")[0] == 0
    for path in apart.folder.glob("strongroom.sqlite3*"):
        path.unlink()
    shutil.rmtree(apart.folder / "blobs")
    code, printed = apart.manage("restore", str(tmp_path / "backup"), f"--keys={file}")
    assert (code, "stays erased" in printed) == (2, True), printed
    code, printed = apart.manage("restore", str(tmp_path / "backup"))
    assert code == 0, printed
    assert set(apart.inventory()) == {"kept.txt", "of-bob.txt"}
    assert apart.verify()[0] == 0


@pytest.mark.faults
def test_keys_move_out_of_the_main_database(tmp_path):
    house = Installation(tmp_path / "house")
    assert house.manage("prepare")[0] == 0
    assert house.manage("shell", "-v0", "-c", RECEIVE)[0] == 0
    wrapped = _wrapped(house.folder / "strongroom.sqlite3")
    assert len(wrapped) == 5
    house.env["STRONGROOM_KEYS_DATABASE_URL"] = f"sqlite:///{tmp_path / 'keys.sqlite3'}"
    code, printed = house.manage("move_keys")
    assert (code, "5 rows were moved" in printed) == (0, True), printed
    assert set(house.inventory()) == {"kept.txt", "erased.txt", "of-bob.txt"}
    left = [path.read_bytes() for path in house.folder.glob("strongroom.sqlite3*")]
    assert not [key for key in wrapped if any(key in raw for raw in left)]
    assert house.manage("move_keys")[0] == 0


def _wrapped(database: Path) -> list[bytes]:
    rows = sqlite3.connect(database)
    found = [
        bytes(row[0])
        for table in ("uploads_ownerkey", "uploads_uploadkey")
        for row in rows.execute(f"SELECT wrapped FROM {table}")
    ]
    rows.close()
    return found


@pytest.mark.parametrize(
    ("apart", "model", "database"),
    [
        (False, OwnerKey, None),
        (True, OwnerKey, "keys"),
        (True, UploadKey, "keys"),
        (True, Erasure, "keys"),
        (True, Upload, None),
    ],
)
def test_the_router_sends_keys_to_their_database(monkeypatch, apart, model, database):
    monkeypatch.setattr(key_store, "is_apart", lambda: apart)
    router = key_store.KeyStoreRouter()
    assert router.db_for_read(model) == router.db_for_write(model) == database


def test_without_a_database_of_their_own_keys_are_not_moved():
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match="STRONGROOM_KEYS_DATABASE_URL"):
        call_command("move_keys")
