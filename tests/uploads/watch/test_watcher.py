"""From the folder to the upload, exactly once, whatever is in the folder and whenever it dies."""

import errno
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from config.accounts.models import User
from tests.uploads.watch.conftest import Scene, content_of
from uploads import intake
from uploads.errors import StorageFull
from uploads.models import Door, Upload
from uploads.names import name_of
from uploads.watch import completeness, door, folders, places, watcher
from uploads.watch.inotify import Inotify
from uploads.watch.notices import Notices, Polling
from uploads.watch.watcher import Watcher

pytestmark = pytest.mark.django_db


def test_a_file_becomes_an_upload_of_the_folders_user(scene: Scene) -> None:
    scene.drop("report.txt", b"alpha\nbeta\n")
    scene.watch()
    upload = Upload.objects.get()
    assert upload.owner == scene.owner
    assert upload.door == Door.FOLDER
    assert upload.run_id is not None
    assert name_of(upload) == "report.txt"
    assert content_of(upload) == b"alpha\nbeta\n"


def test_files_in_folders_are_taken_too(scene: Scene) -> None:
    deepest = "/".join("d" * folders.DEEPEST)
    scene.drop(f"{deepest}/deep.txt")
    scene.drop("a/b/c.txt")
    scene.watch()
    assert {name_of(upload) for upload in Upload.objects.all()} == {"deep.txt", "c.txt"}


def test_a_folder_that_lies_too_deep_is_refused_as_a_whole(scene: Scene) -> None:
    deepest = "/".join("d" * folders.DEEPEST)
    scene.drop(f"{deepest}/too deep/x.txt")
    scene.watch()
    assert not Upload.objects.exists()
    assert scene.names("failed") == ["too deep", "too deep.json"]
    assert scene.receipt("failed/too deep.json")["code"] == "folder_too_deep"


NAMES = [
    b".htaccess",
    b"-rf",
    b"$(id).txt",
    b"x\r\nSet-Cookie: a=b.txt",
    b"\xff\xfe\x80.bin",
    b"\xe2\x80\xaegnp.exe",
    b" lead and trail ",
    "\u00e9\U0001f4a9".encode(),
    b"a" * 255,
    b"x.json",
    b"%2e%2e%2fx.txt",
]


@pytest.mark.parametrize("raw", NAMES)
def test_any_name_is_data(scene: Scene, monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    name = os.fsdecode(raw)
    scene.drop(name)
    scene.watch()
    assert name_of(Upload.objects.get()) == name
    scene.end_runs()
    (receipt,) = scene.names("processed")
    assert scene.receipt(f"processed/{receipt}")["name"] == name
    assert receipt == os.fsdecode(raw[:242]) + ".json"


# --- What is refused ------------------------------------------------------------------------


def symlink(scene: Scene) -> None:
    secret = scene.root / "secret.txt"
    secret.write_text("do not take me\n")
    (scene.unprocessed / "x").symlink_to(secret)


def fifo(scene: Scene) -> None:
    os.mkfifo(scene.unprocessed / "x")


def unix_socket(scene: Scene) -> None:
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    try:  # the path may be too long for a socket's address
        os.chdir(scene.unprocessed)
        listener.bind("x")
    finally:
        os.chdir(here)
        listener.close()


def device(scene: Scene) -> None:
    try:
        os.mknod(scene.unprocessed / "x", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:  # only root can make a device; the kernel sees little difference
        fifo(scene)


def hard_link(scene: Scene) -> None:
    other = scene.root / "other.txt"
    other.write_text("I have another name\n")
    os.link(other, scene.unprocessed / "x")


def empty(scene: Scene) -> None:
    scene.drop("x", b"")


def sparse(scene: Scene) -> None:
    with (scene.unprocessed / "x").open("wb") as file:
        file.truncate(2**40)


def executable(scene: Scene) -> None:
    scene.drop("x", b"MZ" + bytes(1000))


def path_in_name(scene: Scene) -> None:
    scene.drop("x\\y")


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (symlink, "not_a_regular_file"),
        (fifo, "not_a_regular_file"),
        (unix_socket, "not_a_regular_file"),
        (device, "not_a_regular_file"),
        (hard_link, "hard_linked"),
        (empty, "empty_file"),
        (sparse, "upload_too_large"),
        (executable, "media_type_denied"),
        (path_in_name, "name_is_a_path"),
    ],
)
def test_a_refused_file_moves_to_failed_with_the_reason(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Scene], None],
    code: str,
) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    put(scene)
    scene.drop("good.txt")
    scene.watch()
    scene.end_runs()
    name = "x\\y" if put is path_in_name else "x"
    assert scene.everything() == {
        "processed": ["good.txt.json"],
        "failed": [name, f"{name}.json"],
    }
    receipt = scene.receipt(f"failed/{name}.json")
    assert receipt["state"] == "refused"
    assert receipt["code"] == code
    assert receipt["detail"].endswith(".")
    assert [name_of(upload) for upload in Upload.objects.all()] == ["good.txt"]


def test_an_unreadable_file_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, folder: int) -> None:
        raise PermissionError  # which root never sees

    monkeypatch.setattr(door, "open_regular", refuse)
    scene.drop("x")
    scene.watch()
    assert scene.receipt("failed/x.json")["code"] == "unreadable"


def test_a_refused_file_takes_no_other_files_place(scene: Scene) -> None:
    for content in (b"MZ" + bytes(1000), b"MZ" + bytes(2000)):
        scene.drop("x", content)
        scene.watch()
    files = [name for name in scene.names("failed") if not name.endswith(".json")]
    assert len(files) == 2
    assert len(scene.names("failed")) == 4


def test_a_full_quota_refuses(scene: Scene, settings: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "QUOTA_BYTES": 10}
    scene.drop("x", b"eleven bytes")
    scene.watch()
    assert scene.receipt("failed/x.json")["code"] == "quota_exceeded"


# --- What is not complete -------------------------------------------------------------------


def test_a_file_is_left_alone_while_somebody_writes_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0)  # however long ago it was written to
    path = scene.drop("x")
    with path.open("ab") as file:
        file.write(b"half a li")
        file.flush()
        scene.watch()
        assert scene.everything() == {"unprocessed": ["x"]}
    scene.watch()
    assert not scene.names("unprocessed")


def test_an_empty_file_may_be_about_to_be_written(scene: Scene) -> None:
    scene.drop("x", b"")
    scene.watch()
    assert scene.everything() == {"unprocessed": ["x"]}


@pytest.mark.parametrize("name", [".rsync.a1b2c3", "film.mkv.part", "X.CRDOWNLOAD", "~lock"])
def test_a_name_of_something_unfinished_must_have_been_quiet(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scene.drop(name)
    scene.watch()
    assert scene.everything() == {"unprocessed": [name]}
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    scene.watch()
    assert not scene.names("unprocessed")


def test_where_nobody_can_tell_who_writes_a_file_must_have_been_quiet(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completeness, "_is_being_written", lambda descriptor: None)
    scene.drop("x")
    scene.watch()
    assert scene.everything() == {"unprocessed": ["x"]}
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    scene.watch()
    assert not scene.names("unprocessed")


def test_an_incomplete_file_is_looked_at_again_soon(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "INCOMPLETE_PAUSE_S", 0)
    path = scene.drop("x")
    with path.open("ab"):
        scene.watcher.sweep()
        scene.watcher.take_turns()
        assert scene.names("unprocessed") == ["x"]
    scene.watcher.take_turns()
    assert not scene.names("unprocessed")


# --- What changes under our hands -----------------------------------------------------------


def test_a_file_that_changes_while_it_is_read_is_put_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = intake.receive_upload

    def receive_late(offer: Any, content: Any) -> Upload:
        class Late:
            def read(self, size: int) -> bytes:
                data: bytes = content.read(4)
                (claim,) = scene.underprocess.iterdir()
                with (claim / "x").open("r+b") as file:
                    file.seek(0)
                    file.write(b"XXXX")
                os.utime(claim / "x", ns=(1, 1))
                return data

        return receive(offer, Late())

    scene.drop("x", b"eight by")
    with monkeypatch.context() as patch:
        patch.setattr(door, "receive_upload", receive_late)
        scene.watcher.sweep()
        scene.watcher.take_turns()
    assert scene.everything() == {"unprocessed": ["x"]}
    assert not Upload.objects.exists()
    scene.watch()
    assert content_of(Upload.objects.get()) == b"XXXXt by"


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (symlink, "not_a_regular_file"),
        (fifo, "not_a_regular_file"),
        (hard_link, "hard_linked"),
    ],
)
def test_a_file_that_is_exchanged_before_it_is_opened_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, put: Callable[[Scene], None], code: str
) -> None:
    claim = folders.DropFolder.claim

    def claim_late(self: folders.DropFolder, found: folders.Found) -> folders.Claimed:
        (scene.unprocessed / "x").unlink()
        put(scene)
        return claim(self, found)

    monkeypatch.setattr(folders.DropFolder, "claim", claim_late)
    scene.drop("x")
    scene.watch()
    assert not Upload.objects.exists()
    assert scene.receipt("failed/x.json")["code"] == code


def test_a_folder_that_is_exchanged_for_a_link_is_not_entered(scene: Scene, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.txt").write_text("do not take me\n")
    inner = [scene.unprocessed / name for name in ("p", "q")]
    for folder in inner:
        folder.mkdir()

    def exchange(descriptor: int) -> None:
        """Exchange the second of the two once both have been listed."""
        entered = os.fstat(descriptor).st_ino
        if entered != scene.unprocessed.stat().st_ino:
            (other,) = (path for path in inner if path.stat().st_ino != entered)
            if not other.is_symlink():
                other.rmdir()
                other.symlink_to(elsewhere)

    assert list(scene.folder.look(exchange)) == []
    assert any(path.is_symlink() for path in inner)


def test_a_claim_is_durable_before_the_file_is_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def receive(offer: Any, content: Any) -> Upload:
        (claim,) = scene.underprocess.iterdir()
        folders_of_the_move = (claim, scene.underprocess, scene.unprocessed)
        assert synced >= {path.stat().st_ino for path in folders_of_the_move}
        return intake.receive_upload(offer, content)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(door, "receive_upload", receive)
    scene.drop("x")
    scene.watch()
    assert Upload.objects.count() == 1


def test_a_file_that_is_taken_away_is_forgotten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = folders.DropFolder.claim

    def claim_late(self: folders.DropFolder, found: folders.Found) -> folders.Claimed:
        (scene.unprocessed / "x").unlink()
        return claim(self, found)

    monkeypatch.setattr(folders.DropFolder, "claim", claim_late)
    scene.drop("x")
    scene.watch()
    assert scene.everything() == {}


# --- What dies in the middle ----------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


POINTS = [
    (folders, "_make_durable", "once it is claimed"),
    (door, "receive_upload", "before it is received"),
    (folders.DropFolder, "write_note", "after the commit"),
    (folders.DropFolder, "discard", "before the source is removed"),
]


@pytest.mark.parametrize(("where", "what", "when"), POINTS)
def test_a_watcher_that_is_killed_makes_no_second_upload_and_loses_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, where: Any, what: str, when: str
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Killed

    scene.drop("x")
    with monkeypatch.context() as patch:
        patch.setattr(where, what, die)
        with pytest.raises(Killed):
            scene.watch()
    scene.restart()
    scene.watch()
    assert Upload.objects.count() == 1
    scene.end_runs()
    assert scene.everything() == {"processed": ["x.json"]}


def test_what_somebody_left_in_underprocess_is_taken_too(scene: Scene) -> None:
    (scene.underprocess / "left.txt").write_text("left over\n")
    (scene.underprocess / ("0" * 32)).write_text("named like a token\n")
    (scene.underprocess / ("1" * 32)).mkdir()
    scene.drop("left.txt", b"another of this name\n")
    scene.watch()
    assert Upload.objects.count() == 3
    assert not scene.names("unprocessed")
    assert all(name.endswith(".json") for name in scene.names("underprocess"))


def test_a_folder_that_is_named_like_an_unfinished_receipt_is_taken_too(scene: Scene) -> None:
    (scene.underprocess / "x.json.partial").mkdir()
    (scene.underprocess / "x.json.partial" / "a.txt").write_text("left over\n")
    (scene.underprocess / "y.json.partial").write_text("{")
    (scene.underprocess / "z.txt").write_text("left over, too\n")
    scene.watch()
    assert {name_of(upload) for upload in Upload.objects.all()} == {"a.txt", "z.txt"}
    assert all(name.endswith(".json") for name in scene.names("underprocess"))


@pytest.mark.parametrize("error", [StorageFull(), OperationalError("down"), OSError(errno.EIO, "")])
def test_what_passes_is_tried_again_and_the_watcher_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    scene.drop("x")
    with monkeypatch.context() as patch:
        patch.setattr(door, "receive_upload", fail)
        scene.watch()
    assert not scene.names("failed")
    scene.watch()
    assert name_of(Upload.objects.get()) == "x"


def test_one_file_that_always_fails_stops_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = intake.receive_upload

    def fail_one(offer: Any, content: Any) -> Upload:
        if offer.name == "b-secret-name":
            raise FileExistsError(17, "something odd", offer.name)
        return receive(offer, content)

    monkeypatch.setattr(door, "receive_upload", fail_one)
    for name in ("a", "b-secret-name", "c"):
        scene.drop(name)
    scene.watch()
    assert {name_of(upload) for upload in Upload.objects.all()} == {"a", "c"}
    assert "tried again" in caplog.text
    assert "b-secret-name" not in repr([vars(record) for record in caplog.records])


def test_a_stop_leaves_a_large_file_for_the_next_start(scene: Scene) -> None:
    scene.drop("x", b"line\n" * 1_000_000)
    scene.watcher.sweep()
    desk = scene.watcher._desks[scene.owner.username]
    looking = scene.folder.look(lambda _: None)
    found = next(looking)
    scene.watcher.stop()
    with pytest.raises(door.Stopped):
        desk.door.offer(found)
    assert not Upload.objects.exists()
    scene.restart()
    scene.watch()
    assert Upload.objects.get().size == 5_000_000


# --- Whose folders --------------------------------------------------------------------------


def test_every_active_user_gets_a_folder(scene: Scene, stranger: Any) -> None:
    gone = User.objects.create_user("gone")
    gone.is_active = False
    gone.save()
    scene.watcher.sweep()
    assert sorted(path.name for path in scene.root.iterdir()) == ["olive", "sam"]
    assert (scene.root / "sam" / "unprocessed").stat().st_mode & 0o077 == 0


def test_the_folder_of_a_disabled_user_is_left_alone(scene: Scene) -> None:
    scene.watcher.sweep()
    scene.owner.is_active = False
    scene.owner.save()
    scene.drop("x")
    scene.watch()
    assert scene.names("unprocessed") == ["x"]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_user_whose_name_is_no_folder_gets_none(
    scene: Scene, django_user_model: Any, name: str
) -> None:
    django_user_model.objects.create_user(name)
    scene.watcher.sweep()
    assert [path.name for path in scene.root.iterdir()] == ["olive"]
    assert not (scene.root.parent / "unprocessed").exists()
    assert not (scene.root / "unprocessed").exists()


def test_a_user_with_many_files_does_not_keep_another_waiting(scene: Scene, stranger: Any) -> None:
    for number in range(3 * watcher.FILES_A_TURN):
        scene.drop(f"{number}.txt", b"%d\n" % number)
    other = scene.root / "sam" / "unprocessed"
    other.mkdir(parents=True)
    (other / "urgent.txt").write_text("now\n")
    scene.watcher.sweep()
    scene.watcher.take_turns()
    assert Upload.objects.filter(owner=stranger).count() == 1
    assert Upload.objects.filter(owner=scene.owner).count() == watcher.FILES_A_TURN


# --- How it learns of files -----------------------------------------------------------------


@pytest.fixture
def running(scene: Scene, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Return the scene with its watcher running, the sweep switched off after the first."""
    monkeypatch.setattr(watcher, "SWEEP_PAUSE_S", 3600)
    notices: Notices = request.param()
    scene.watcher = Watcher(scene.root, notices)
    taken: list[str] = []

    def take(self: door.FolderDoor, claimed: folders.Claimed) -> None:
        taken.append(claimed.name)
        with self.folder.place_of(claimed) as place:
            os.unlink(claimed.name, dir_fd=place)

    monkeypatch.setattr(door.FolderDoor, "take", take)
    place = places.Place(scene.owner.username, scene.folder.root, scene.owner)
    monkeypatch.setattr(watcher, "places", lambda root: [place])
    monkeypatch.setattr("uploads.watch.states.tell", lambda states: None)
    monkeypatch.setattr(watcher, "_tidy", lambda door: None)
    thread = threading.Thread(target=scene.watcher.run)
    thread.start()
    time.sleep(0.3)
    yield scene, taken
    scene.watcher.stop()
    thread.join(timeout=5)
    assert not thread.is_alive()
    notices.close()


def until(condition: Callable[[], bool], timeout_s: float = 60) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s
        time.sleep(0.005)
    return time.monotonic() - began


@pytest.mark.parametrize("running", [Inotify], indirect=True)
def test_a_closed_file_is_noticed_at_once(running: Any) -> None:
    scene, taken = running
    scene.drop("x")
    assert until(lambda: taken == ["x"]) < 0.4


@pytest.mark.parametrize("running", [Inotify], indirect=True)
def test_a_file_that_is_moved_in_is_noticed_at_once(running: Any) -> None:
    scene, taken = running
    (scene.root / "x").write_text("complete\n")
    (scene.root / "x").rename(scene.unprocessed / "x")
    assert until(lambda: taken == ["x"]) < 0.4


@pytest.mark.parametrize("running", [Inotify], indirect=True)
def test_no_file_of_a_burst_into_a_fresh_folder_is_lost(running: Any) -> None:
    scene, taken = running
    for number in range(500):
        scene.drop(f"fresh/{number % 7}/{number}.txt")
    until(lambda: len(taken) == 500)
    assert len(set(taken)) == 500


@pytest.mark.parametrize("running", [lambda: Polling(0.2)], indirect=True)
def test_without_notices_from_the_kernel_a_file_is_found_by_looking(running: Any) -> None:
    scene, taken = running
    scene.drop("x")
    until(lambda: taken == ["x"])
