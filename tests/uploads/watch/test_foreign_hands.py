"""What a user may put into their own drop folder reaches nobody else's, and stops nobody."""

import json
import os
from pathlib import Path

import pytest

from tests.uploads.watch.conftest import Scene
from uploads.models import Upload
from uploads.watch.folders import PARTS

pytestmark = pytest.mark.django_db

TOKEN = "0123456789abcdef" * 2


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("part", PARTS)
def test_a_link_in_place_of_a_part_leads_nowhere(scene: Scene, tmp_path: Path, part: str) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "theirs.txt").write_bytes(b"not ours\n")
    scene.drop("mine.txt")
    scene.watch()
    place = scene.folder.root / part
    place.rename(tmp_path / "moved")
    place.symlink_to(foreign)
    if part != "unprocessed":
        (scene.folder.root / "unprocessed" / "more.txt").write_bytes(b"more\n")
    scene.watch()
    scene.restart()
    scene.watch()
    scene.end_runs()
    assert everything_in(foreign) == {"theirs.txt": b"not ours\n"}
    assert Upload.objects.count() == 1


def receipt_of(scene: Scene, content: bytes) -> Path:
    path = scene.folder.root / "underprocess" / f"{TOKEN}.json"
    path.write_bytes(content)
    return path


def test_a_pipe_in_place_of_a_receipt_is_not_waited_for(scene: Scene) -> None:
    os.mkfifo(scene.folder.root / "underprocess" / f"{TOKEN}.json")
    scene.restart()
    scene.drop("mine.txt")
    scene.watch()
    assert Upload.objects.count() == 1


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{" + b" " * 10_000_000,
        b"[]",
        b'{"upload": "no id"}',
        b'{"upload": 7}',
        b"\xff",
    ],
)
def test_a_receipt_that_is_none_stops_nobody(scene: Scene, content: bytes) -> None:
    receipt_of(scene, content)
    scene.restart()
    scene.drop("mine.txt")
    scene.watch()
    scene.end_runs()
    assert Upload.objects.count() == 1


@pytest.mark.parametrize("name", ["../../stolen", "/etc/stolen", "..", 7, None])
def test_the_name_in_a_receipt_is_no_path(scene: Scene, tmp_path: Path, name: object) -> None:
    scene.drop("mine.txt")
    scene.watch()
    (note,) = (scene.folder.root / "underprocess").glob("*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"name": name}))
    scene.end_runs()
    assert len(list((scene.folder.root / "processed").iterdir())) == 1
    assert not list(tmp_path.rglob("stolen*"))
