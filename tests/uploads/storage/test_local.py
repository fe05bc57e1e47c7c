"""The folder: what it holds after a crash, and in which order it makes that so."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.uploads.storage.contract import StoreContract, get, put
from uploads.storage import StorageFailed, StorageFull, Store
from uploads.storage.local import LocalStore

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "blobs")


class TestLocalStore(StoreContract):
    """As every backend."""


def files(store: Any) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_files_and_folders_are_private_and_sharded(store):
    blob_id = put(store, b"content")
    (path,) = files(store)
    assert path == store.folder / blob_id.hex[:2] / blob_id.hex
    assert path.stat().st_mode & 0o777 == 0o600
    assert {p.stat().st_mode & 0o777 for p in (store.folder, path.parent)} == {0o700}


def test_an_interrupted_write_is_swept_once_it_is_old_enough(store):
    sink = store.create(uuid4())
    sink.write(b"half")
    assert store.sweep_partials(older_than_s=60) == 0
    assert store.sweep_partials(older_than_s=0) == 1
    assert files(store) == []


def test_a_symbolic_link_in_place_of_a_blob_is_not_followed(store, tmp_path):
    blob_id = put(store, b"content")
    (path,) = files(store)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"other")
    with pytest.raises(StorageFailed):
        store.open(blob_id)


@pytest.mark.parametrize(
    ("number", "refusal"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageFailed)],
)
@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_what_the_system_refuses_is_named_and_leaves_nothing(
    store, monkeypatch, number, refusal, call
):
    put(store, b"first")  # its folders exist then
    sink = store.create(uuid4())

    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, refuse)
        with pytest.raises(refusal):
            sink.write(b"content")
            sink.commit()
    sink.abort()
    assert len(files(store)) == 1


def test_a_durable_file_becomes_a_blob_by_a_second_name(store, tmp_path):
    (tmp_path / "part").write_bytes(b"content")
    blob_id = uuid4()
    store.adopt(blob_id, tmp_path / "part")
    store.adopt(blob_id, tmp_path / "part")
    assert get(store, blob_id) == b"content"


STORE_ONE = """
import sys, uuid
import django.conf
django.conf.settings.configure(UPLOADS={})
from uploads.storage.local import LocalStore
sink = LocalStore(sys.argv[1]).create(uuid.UUID(int=0xAB << 120))
sink.write(b"content")
sink.commit()
print("committed", flush=True)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.faults
def test_a_commit_syncs_the_file_renames_it_and_syncs_every_folder_on_the_way(tmp_path):
    """What was acknowledged survives a power cut: each name and each byte is on the disk."""
    blobs, log = tmp_path / "blobs", tmp_path / "calls"
    watched = "mkdir,rename,renameat,renameat2,fsync,fdatasync,write,pwrite64"
    command = ["strace", "-f", "-y", "-e", f"trace={watched}", "-o", str(log)]
    subprocess.run(
        [*command, sys.executable, "-c", STORE_ONE, str(blobs)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    path = blobs / "ab" / UUID(int=0xAB << 120).hex
    assert _story(log.read_text(), tmp_path) == [
        "mkdir blobs",
        "fsync .",
        "mkdir blobs/ab",
        "fsync blobs",
        f"pwrite64 {path.relative_to(tmp_path)}.part",
        f"fsync {path.relative_to(tmp_path)}.part",
        f"rename {path.relative_to(tmp_path)}.part {path.relative_to(tmp_path)}",
        "fsync blobs/ab",
        "acknowledged",
    ]


def _story(log: str, root: Path) -> list[str]:
    """Return what happened below `root`, in order, with random names taken out."""
    story = []
    for line in log.splitlines():
        call = line.split(" ", 1)[1].strip()
        if "committed" in call:
            story.append("acknowledged")
        paths = [m[1] or m[2] for m in re.finditer(r'<(/[^>]*)>|"(/[^"]*)"', call)]
        named = [Path(p) for p in paths if p.startswith(str(root))]
        if named and "EEXIST" not in call:
            short = [
                re.sub(r"\.[0-9a-f]{8}\.part", ".part", str(p.relative_to(root))) for p in named
            ]
            story.append(" ".join([call.split("(")[0], *short]))
    return story
