"""Where the kernel keeps silent of changes, folders are polled, and that is said."""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from config.health import Health
from tests.uploads.watch.conftest import Scene, content_of
from uploads import health, metrics
from uploads.folder_models import FolderState
from uploads.models import Upload
from uploads.watch import completeness, file_systems, inotify
from uploads.watch.file_systems import (
    file_system_number,
    has_writers_elsewhere,
    silent_file_system,
)
from uploads.watch.folders import opened
from uploads.watch.inotify import Inotify
from uploads.watch.notices import ByFileSystem, Polling, best_notices
from uploads.watch.watcher import Watcher

# Source: Linux, include/uapi/linux/magic.h.
KNOWN = {"/proc": 0x9FA0, "/sys": 0x62656572, "/dev/shm": 0x01021994}


@pytest.mark.parametrize("path", KNOWN)
def test_the_file_system_of_a_folder_is_told(path: str) -> None:
    if not Path(path).is_mount():
        pytest.skip(f"{path} is not mounted here.")
    with opened(path) as folder:
        assert file_system_number(folder) == KNOWN[path]
        assert silent_file_system(folder) == ""


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x6969, "nfs"),
        (0xFF534D42, "cifs"),
        (0xFE534D42, "smb2"),
        (0x65735546, "fuse"),
        (0x01021997, "9p"),
        (0x794C7630, "overlay"),
        (0xEF53, ""),  # ext4
        (0x58465342, ""),  # XFS
        (0x9123683E, ""),  # Btrfs
    ],
)
def test_which_file_systems_keep_silent(
    monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    monkeypatch.setattr(file_systems, "file_system_number", lambda descriptor: number)
    assert silent_file_system(0) == name


def test_a_descriptor_that_is_none_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        file_system_number(-1)


class Silence:
    """Events that never come."""

    def __init__(self) -> None:
        self.watched: list[str] = []

    def watch(self, descriptor: int, topic: str) -> None:
        self.watched.append(topic)

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        return ()

    def polled(self, topic: str) -> str:
        return ""

    def close(self) -> None:
        pass


def test_only_folders_on_a_silent_file_system_are_polled() -> None:
    events = Silence()
    notices = ByFileSystem(events, 0, silent=lambda descriptor: "nfs" if descriptor == 7 else "")
    notices.watch(7, "far")
    notices.watch(8, "near")
    assert (notices.polled("far"), notices.polled("near")) == ("nfs", "")
    assert notices.wait(0) == {"far"}
    assert events.watched == ["far", "near"], "what is changed here is noticed at once"


def test_polling_waits_for_its_pause() -> None:
    notices = ByFileSystem(Silence(), 3600, silent=lambda descriptor: "nfs")
    notices.watch(7, "far")
    assert notices.wait(0) == {"far"}
    assert notices.wait(0) == ()


@pytest.mark.parametrize(
    ("mode", "kind"), [("auto", ByFileSystem), ("on", Polling), ("off", Inotify)]
)
def test_polling_can_be_forced(mode: str, kind: type) -> None:
    notices = best_notices(mode, 2.0)
    assert isinstance(notices, kind)
    assert bool(notices.polled("any topic")) == (mode == "on")
    notices.close()


def test_a_system_without_events_is_polled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Inotify) -> None:
        raise OSError

    monkeypatch.setattr(inotify.Inotify, "__init__", fail)
    with caplog.at_level(logging.WARNING):
        assert isinstance(best_notices("auto", 2.0), Polling)
    assert "polled" in caplog.text


# --- What is said of it --------------------------------------------------------------------------

pytestmark = pytest.mark.django_db


def samples(name: str) -> dict[str, float]:
    (family,) = (family for family in metrics.collect() if family.name == name)
    return {",".join(sample.labels.values()): sample.value for sample in family.samples}


def test_a_polled_folder_is_found_and_visible(scene: Scene) -> None:
    notices = ByFileSystem(Silence(), 0, silent=lambda descriptor: "nfs")
    scene.watcher = Watcher(scene.root, notices)
    scene.watch()
    scene.drop("x.txt")
    scene.watcher._wait(0)
    while scene.watcher.take_turns():
        pass
    assert not scene.names("unprocessed")
    scene.watcher.sweep()
    state = FolderState.objects.get()
    assert (state.key, state.owner, state.polled, state.problem) == (
        "olive",
        scene.owner,
        "nfs",
        "",
    )
    assert samples("strongroom_drop_folders") == {"nfs": 1}


def test_a_folder_that_cannot_be_looked_into_is_said(scene: Scene) -> None:
    place = scene.folder.root / "failed"
    place.rmdir()
    place.symlink_to(scene.root)
    scene.watcher.sweep()
    assert FolderState.objects.get().problem == "not_a_folder"
    assert health.drop_folders().health is Health.DEGRADED
    assert samples("strongroom_drop_folder_problems") == {"": 1}


def test_of_a_folder_that_is_looked_after_no_more_nothing_is_said(scene: Scene) -> None:
    scene.watcher.sweep()
    assert health.drop_folders().health is Health.OK
    scene.owner.is_active = False
    scene.owner.save()
    scene.watcher.sweep()
    assert not FolderState.objects.exists()
    assert health.drop_folders().health is Health.NOT_INSTALLED


def test_a_watcher_that_is_gone_is_noticed(scene: Scene) -> None:
    scene.watcher.sweep()
    FolderState.objects.update(seen_at=timezone.now() - timedelta(minutes=4))
    assert health.drop_folders().health is Health.DEGRADED


def test_the_admin_shows_the_state_of_each_folder(scene: Scene, administrator: Any) -> None:
    from django.test import Client

    scene.watcher.sweep()
    client = Client()
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/admin/uploads/folderstate/").content.decode()
    assert str(scene.folder.root) in page


@pytest.fixture
def pass_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return how to let seconds pass on our own clock."""
    passed = [time.monotonic()]

    def pass_by(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    return pass_by


def test_where_others_may_write_unseen_a_file_must_be_left_alone_by_our_own_clock(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, pass_by: Callable[[float], None]
) -> None:
    monkeypatch.setattr(completeness, "has_writers_elsewhere", lambda descriptor: True)
    there = scene.drop("a.txt", b"the first ")
    monkeypatch.setattr(time, "time", lambda: there.stat().st_ctime + 3600)  # the server is behind
    for more in (b"half, ", b"and the rest"):
        scene.watch()
        pass_by(completeness.QUIET_S - 1)
        with there.open("ab") as file:
            file.write(more)
    scene.watch()
    pass_by(completeness.QUIET_S - 1)
    scene.watch()
    assert not Upload.objects.exists()
    pass_by(1)
    scene.watch()
    assert content_of(Upload.objects.get()) == b"the first half, and the rest"


def test_what_was_looked_at_long_ago_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pass_by: Callable[[float], None]
) -> None:
    stillness = completeness.Stillness()
    status = tmp_path.stat()
    for number in range(1000):
        stillness.left_alone_s(("gone", str(number)), status)
    pass_by(completeness.FORGOTTEN_S)
    for number in range(5):
        stillness.left_alone_s(("there", str(number)), status)
        pass_by(1)
    assert len(stillness._seen) == 5
    assert stillness.left_alone_s(("there", "0"), status) == 5


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0x6969, True), (0x65735546, True), (0x794C7630, False), (0xEF53, False)],
)
def test_where_others_may_write_unseen(
    monkeypatch: pytest.MonkeyPatch, number: int, expected: bool
) -> None:
    monkeypatch.setattr(file_systems, "file_system_number", lambda descriptor: number)
    assert has_writers_elsewhere(0) is expected
