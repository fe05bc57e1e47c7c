"""Rotation: every owner key under the new master key, whatever happens, and no blob touched."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.uploads.master_keys.conftest import ring_path  # noqa: F401 - a fixture
from uploads import keys, rotation
from uploads.encryption import new_key, owner_context
from uploads.intake import Offer, receive_upload
from uploads.key_models import OwnerKey
from uploads.keys import key_ring, upload_key
from uploads.master_keys import change, current
from uploads.models import Door, Upload
from uploads.names import name_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("ring_path")]

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"what is in it" * 1000


def receive(owner: Any, name: str = "a.txt") -> Upload:
    offer = Offer(owner=owner, name=name, declared_type="", door=Door.API)
    return receive_upload(offer, io.BytesIO(CONTENT))


def rotate(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ending:
        call_command("rotate_keys", "--json", *arguments, stdout=out, stderr=io.StringIO())
    return int(ending.value.code or 0), json.loads(out.getvalue())


def make_owner_keys(count: int) -> dict[UUID, bytes]:
    """Return new owner keys, whose wrapped forms are in the database."""
    ring, made = key_ring(), {uuid4(): new_key() for _ in range(count)}
    OwnerKey.objects.bulk_create(
        (
            OwnerKey(
                owner_id=owner_id,
                wrapped=ring.wrap(key, context=owner_context(owner_id)),
                master_key_id=ring.active,
            )
            for owner_id, key in made.items()
        ),
        batch_size=300,
    )
    return made


def assert_all_open(made: dict[UUID, bytes], *, under: str) -> None:
    ring = key_ring()
    rows = list(OwnerKey.objects.filter(pk__in=made) if len(made) < 300 else OwnerKey.objects.all())
    assert {row.owner_id for row in rows} == set(made)
    for row in rows:
        assert (row.master_key_id, ring.key_id(bytes(row.wrapped))) == (under, under)
        opened = ring.unwrap(bytes(row.wrapped), context=owner_context(row.owner_id))
        assert opened == made[row.owner_id]


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rotation_changes_every_owner_key_and_no_blob(owner, pipelines, settings):
    upload = receive(owner)
    made, key = make_owner_keys(25), upload_key(upload.pk)
    blobs = files_below(settings.UPLOADS["BLOBS_DIR"])
    code, report = rotate("--new")
    assert (code, report["active"], report["rewrapped"], report["left"]) == (0, "k2", 26, 0)
    assert (report["needed"], report["not_needed"]) == ({"k2": 26}, ["k1"])
    OwnerKey.objects.filter(pk=owner.pk).get()
    assert upload_key(upload.pk) == key
    assert files_below(settings.UPLOADS["BLOBS_DIR"]) == blobs
    call_command("master_keys", "remove", "k1")
    assert current().ids == ("k2",)
    assert (upload_key(upload.pk), name_of(upload)) == (key, "a.txt")
    OwnerKey.objects.filter(pk=owner.pk).delete()
    assert_all_open(made, under="k2")


def test_an_old_key_that_is_needed_is_not_removed(owner):
    make_owner_keys(3)
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    code, report = rotate("--check")
    assert (code, report["left"], report["needed"], report["not_needed"]) == (1, 3, {"k1": 3}, [])
    with pytest.raises(CommandError, match="3 owner keys need k1"):
        call_command("master_keys", "remove", "k1")
    assert current().ids == ("k1", "k2")


def test_the_check_reads_the_wrapped_key_and_not_the_column_beside_it():
    make_owner_keys(3)
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    OwnerKey.objects.update(master_key_id="k2")  # it lies
    code, report = rotate("--check")
    assert (code, report["needed"], report["not_needed"]) == (1, {"k1": 3}, [])
    with pytest.raises(CommandError, match="3 owner keys need k1"):
        call_command("master_keys", "remove", "k1")


@pytest.mark.parametrize("harm", [b"", b"\x02k1" + bytes(60), b"\x02k9" + bytes(60)])
def test_an_owner_key_that_does_not_open_is_named(harm):
    (owner_id, *_) = make_owner_keys(3)
    OwnerKey.objects.filter(pk=owner_id).update(wrapped=harm)
    code, report = rotate("--check")
    assert (code, report["unopened"]) == (1, [str(owner_id)])
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    with pytest.raises(CommandError) as refusal:
        call_command("rotate_keys")
    assert refusal.value.returncode == 1


def test_without_a_key_ring_it_could_not_look(ring_path):  # noqa: F811
    ring_path.unlink()
    with pytest.raises(CommandError) as refusal:
        call_command("rotate_keys", "--check")
    assert refusal.value.returncode == 2


def test_a_rotation_that_dies_after_any_batch_is_finished_by_the_next(monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 5)
    made = make_owner_keys(33)
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    while True:
        if not next(iter(rotation.rewrap_all()), 0):  # and it dies after its first
            break
    assert_all_open(made, under="k2")


def test_a_destroyed_owner_key_does_not_come_back():
    made = make_owner_keys(5)
    (gone, *_) = made
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    batch = rotation._next_batch()
    OwnerKey.objects.filter(pk=gone).delete()
    assert rotation._rewrap(batch, key_ring()) == 4
    assert not OwnerKey.objects.filter(pk=gone).exists()


def test_a_first_upload_during_a_rotation_is_under_the_new_master_key(owner, monkeypatch):
    """The ring changes between the wrapping of a new owner key and the commit of its row."""
    stale = key_ring()
    change(lambda ring: ring.with_new_key("k2").with_active("k2").without("k1"))
    answers = [stale]
    monkeypatch.setattr(keys, "current", lambda: answers.pop() if answers else current())
    with_key = keys.owner_key(owner.pk)
    row = OwnerKey.objects.get(pk=owner.pk)
    assert (row.master_key_id, current().key_id(bytes(row.wrapped))) == ("k2", "k2")
    assert keys.owner_key(owner.pk) == with_key


def test_files_come_in_and_are_read_while_keys_rotate(owner, stranger, pipelines, monkeypatch):
    monkeypatch.setattr(rotation, "BATCH", 3)
    first = receive(owner)
    failures: list[BaseException] = []
    stop = threading.Event()

    def use() -> None:
        try:
            while not stop.is_set():
                assert name_of(receive(stranger, "b.txt")) == "b.txt"
                assert name_of(first) == "a.txt"
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            connection.close()

    made = make_owner_keys(30)
    user = threading.Thread(target=use)
    user.start()
    codes = [rotate("--new")[0] for _ in range(3)]
    stop.set()
    user.join()
    assert (codes, failures) == ([0, 0, 0], [])
    OwnerKey.objects.exclude(pk__in=made).delete()
    assert_all_open(made, under="k4")


@pytest.mark.faults
def test_a_rotation_killed_ten_times_in_the_middle_finishes(ring_path):  # noqa: F811
    made = make_owner_keys(60_000)
    change(lambda ring: ring.with_new_key("k2").with_active("k2"))
    settings_module = (
        "from config.settings.test import *\n"
        f"UPLOADS['MASTER_KEYS_FILE'] = __import__('pathlib').Path({str(ring_path)!r})\n"
        f"DATABASES['default'] |= {_database()!r}\n"
    )
    (ring_path.parent / "rotating.py").write_text(settings_module)
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rotating",
        "PYTHONPATH": str(ring_path.parent),
    }
    command = [sys.executable, "manage.py", "rotate_keys", "--json"]
    left = [rotation.left()]
    for _ in range(10):
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
        while rotation.left() == left[-1]:
            assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        left.append(rotation.left())
    assert left == sorted(set(left), reverse=True), "each went on where the one before was killed"
    assert left[-1] > 0, "the last kill was in the middle, too"
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["left"]) == (0, 0)
    assert json.loads(done.stdout)["rewrapped"] == left[-1]
    assert_all_open(made, under="k2")


def _database() -> dict[str, str]:
    """Return where this test's database is, for another process."""
    known = connection.settings_dict
    return {name: str(known[name]) for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
