"""What is exchanged, locked, cut off or given other names between two of our steps."""

import ctypes
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.uploads.watch.conftest import Scene, content_of
from uploads import intake
from uploads.folder_models import DropReport
from uploads.models import Upload
from uploads.names import name_of
from uploads.watch import completeness, door, folders
from uploads.watch.folders import PARTS

pytestmark = pytest.mark.django_db

LIBC = ctypes.CDLL(None, use_errno=True)
BAD = b"MZ" + bytes(1000)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a folder that belongs to somebody else."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "theirs.txt").write_bytes(b"not ours\n")
    return folder


def untouched(folder: Path) -> bool:
    names = {path.name for path in folder.rglob("*")}
    return names == {"theirs.txt"} and (folder / "theirs.txt").read_bytes() == b"not ours\n"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("content", [b"one line\n", BAD])
def test_a_part_that_becomes_a_link_between_check_and_move_leads_nowhere(
    scene: Scene, foreign: Path, monkeypatch: pytest.MonkeyPatch, part: str, content: bytes
) -> None:
    move, place = folders._move, scene.folder.root / part

    def swap_and_move(*arguments: Any) -> None:
        if not place.is_symlink():
            place.rename(scene.root / f"moved {part}")
            place.symlink_to(foreign)
        move(*arguments)

    monkeypatch.setattr(folders, "_move", swap_and_move)
    scene.drop("x", content)
    scene.watch()
    scene.end_runs()
    assert place.is_symlink(), "the test came between"
    assert untouched(foreign)


def test_a_claim_that_becomes_a_link_before_it_is_read_leads_nowhere(
    scene: Scene, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (foreign / "theirs.txt").rename(foreign / "x")
    claim = folders.DropFolder.claim

    def claim_and_swap(self: folders.DropFolder, found: folders.Found) -> folders.Claimed:
        claimed = claim(self, found)
        place = scene.underprocess / claimed.place
        place.rename(scene.root / "moved")
        place.symlink_to(foreign)
        return claimed

    monkeypatch.setattr(folders.DropFolder, "claim", claim_and_swap)
    scene.drop("x")
    scene.watch()
    assert not Upload.objects.exists()
    assert (foreign / "x").read_bytes() == b"not ours\n"


def exchange(one: Path, other: Path) -> None:
    """Give each the name of the other, at once (Linux, renameat2(2))."""
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    result = LIBC.renameat2(here, os.fsencode(one), here, os.fsencode(other), flag)
    assert result == 0, os.strerror(ctypes.get_errno())


@pytest.mark.parametrize("part", PARTS)
def test_a_race_of_swaps_reaches_nothing_outside(scene: Scene, foreign: Path, part: str) -> None:
    place, aside = scene.folder.root / part, scene.folder.root / "aside"
    aside.symlink_to(foreign)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            exchange(place, aside)
        if place.is_symlink():
            exchange(place, aside)

    thread = threading.Thread(target=swap)
    for number in range(20):
        scene.drop(f"{number}", BAD if number % 2 else b"%d\n" % number)
    thread.start()
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            scene.watch()
    finally:
        done.set()
        thread.join()
    scene.restart()
    scene.watch()
    assert untouched(foreign)
    assert Upload.objects.count() == 10
    refused = [name for name in scene.names("failed") if not name.endswith(".json")]
    assert len(refused) == 10


# --- Other files under the same name -----------------------------------------------------------


def during_receive(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None], scene: Scene, *, after: bool
) -> None:
    """Do something to the claimed file `x` once, in the middle of being received or after it."""
    receive = intake.receive_upload
    done: list[bool] = []

    def acting() -> None:
        if not done:
            done.append(True)
            (path,) = scene.underprocess.glob("*/x")
            act(path)

    class Late:
        def __init__(self, content: Any) -> None:
            self.content = content

        def read(self, size: int) -> bytes:
            data: bytes = self.content.read(4)
            acting()
            return data

    def receive_and_act(offer: Any, content: Any) -> Upload:
        if not after:
            return receive(offer, Late(content))
        upload = receive(offer, content)
        acting()
        return upload

    monkeypatch.setattr(door, "receive_upload", receive_and_act)


def replace(path: Path) -> None:
    (path.parent / "other").write_bytes(b"another one of the same size")
    (path.parent / "other").replace(path)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b" and more")


FIRST = b"the first one, of that size."


@pytest.mark.parametrize(
    ("act", "second"), [(replace, b"another one of the same size"), (append, FIRST + b" and more")]
)
def test_a_file_that_is_replaced_or_grows_while_it_is_read_is_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None], second: bytes
) -> None:
    during_receive(monkeypatch, act, scene, after=False)
    scene.drop("x", FIRST)
    scene.watch()
    scene.watch()
    assert content_of(Upload.objects.get()) == second
    assert scene.everything().keys() == {"underprocess"}


@pytest.mark.parametrize(
    ("act", "second"), [(replace, b"another one of the same size"), (append, FIRST + b" and more")]
)
def test_what_takes_the_place_of_a_file_after_its_commit_is_not_removed_with_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None], second: bytes
) -> None:
    during_receive(monkeypatch, act, scene, after=True)
    scene.drop("x", FIRST)
    scene.watch()
    scene.watch()
    assert {content_of(upload) for upload in Upload.objects.all()} == {FIRST, second}


def test_a_file_that_is_taken_away_while_it_is_read_is_an_upload_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_receive(monkeypatch, Path.unlink, scene, after=False)
    scene.drop("x", FIRST)
    scene.watch()
    assert content_of(Upload.objects.get()) == FIRST


def test_a_claim_that_is_taken_away_after_the_commit_gets_its_receipt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_receive(monkeypatch, lambda path: shutil.rmtree(path.parent), scene, after=True)
    scene.drop("x", FIRST)
    scene.watch()
    scene.end_runs()
    assert scene.everything() == {"processed": ["x.json"]}


def test_a_second_file_in_a_claim_is_not_taken_for_the_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash, the token of a claim says that its upload is there; not which file it was."""

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    scene.drop("x", FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(folders.DropFolder, "write_note", die)
        with pytest.raises(Killed):
            scene.watch()
    (claim,) = scene.underprocess.iterdir()
    (claim / "second").write_bytes(b"put there meanwhile\n")
    scene.restart()
    scene.watch()
    scene.watch()
    expected = {"x": FIRST, "second": b"put there meanwhile\n"}
    assert {name_of(one): content_of(one) for one in Upload.objects.all()} == expected


# --- Not complete ------------------------------------------------------------------------------


def test_a_locked_file_is_left_alone(scene: Scene) -> None:
    path = scene.drop("x")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        scene.watch()
        assert scene.everything() == {"unprocessed": ["x"]}
    scene.watch()
    assert Upload.objects.count() == 1


LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
input()
"""


def test_a_file_that_another_process_has_locked_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness, "_is_being_written", lambda descriptor: None)
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    path = scene.drop("x")
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        scene.watch()
        assert scene.everything() == {"unprocessed": ["x"]}
        other.communicate(b"\n")
    scene.watch()
    assert Upload.objects.count() == 1


def test_a_sparse_file_is_taken_with_its_holes(scene: Scene) -> None:
    path = scene.unprocessed / "holes.bin"
    with path.open("wb") as file:
        file.seek(3 * 1024**2)
        file.write(b"the end")
    scene.watch()
    assert content_of(Upload.objects.get()) == bytes(3 * 1024**2) + b"the end"


# --- What cannot be reached --------------------------------------------------------------------


def test_an_unreadable_folder_is_refused_and_the_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = folders.opened

    def refuse(name: Any, *, within: int | None = None) -> Any:
        if name == "closed":
            raise PermissionError(errno.EACCES, "")  # which root never sees
        return opened(name, within=within)

    monkeypatch.setattr(folders, "opened", refuse)
    scene.drop("closed/x")
    scene.drop("open/y")
    scene.watch()
    assert scene.receipt("failed/closed.json")["code"] == "unreadable"
    assert [name_of(upload) for upload in Upload.objects.all()] == ["y"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EXDEV, errno.EBUSY])
def test_what_cannot_be_moved_stays_and_is_reported_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    move = folders._move

    def refuse(name: str, *rest: Any) -> None:
        if name in ("x", "pipe"):
            raise OSError(number, "")
        move(name, *rest)

    monkeypatch.setattr(folders, "_move", refuse)
    scene.drop("x")
    scene.drop("y")
    os.mkfifo(scene.unprocessed / "pipe")
    for _ in range(3):
        scene.watch()
    assert scene.names("unprocessed") == ["pipe", "x"]
    assert [name_of(upload) for upload in Upload.objects.all()] == ["y"]
    codes = sorted(DropReport.objects.values_list("code", flat=True))
    assert codes == ["cannot_be_moved", "cannot_be_moved", "not_a_regular_file"]
    assert set(DropReport.objects.values_list("kept_until", flat=True)) >= {None}


# --- Inner folders -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("x", ""),
        ("scans/x", "scans"),
        ("scans/2026 Q1/x", "scans/2026 Q1"),
        ("scans/.hidden/x", "scans"),
        ("scans/\u00e4/b/x", "scans"),
        ("\u00e4/b/x", ""),
        (f"scans/{'n' * 100}/x", "scans"),
    ],
)
def test_the_folder_of_a_file_becomes_a_label(scene: Scene, path: str, label: str) -> None:
    scene.drop(path)
    scene.watch()
    assert Upload.objects.get().folder == label


def test_a_crash_does_not_lose_the_label(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    scene.drop("scans/2026/x")
    with monkeypatch.context() as patch:
        patch.setattr(door, "receive_upload", die)
        with pytest.raises(Killed):
            scene.watch()
    scene.restart()
    scene.watch()
    assert Upload.objects.get().folder == "scans/2026"


def test_what_is_put_back_goes_to_the_folder_that_it_came_from(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_receive(monkeypatch, append, scene, after=False)
    scene.drop("scans/2026/x", FIRST)
    scene.watcher.sweep()
    scene.watcher.take_turns()
    assert (scene.unprocessed / "scans" / "2026" / "x").read_bytes() == FIRST + b" and more"
