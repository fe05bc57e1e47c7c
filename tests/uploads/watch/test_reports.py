"""What owners are told of files that were not taken, and how long anything is kept."""

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import serializers
from django.utils import timezone

from config.events.models import Event
from tests.uploads.watch.conftest import Scene
from tests.uploads.watch.test_watcher import device, executable, fifo, hard_link, symlink
from uploads import drop_reports
from uploads.folder_models import DropReport
from uploads.models import Upload, UploadState
from uploads.watch import completeness, folders, watcher
from uploads.watch.errors import Unreadable

pytestmark = pytest.mark.django_db


def reports(owner: Any) -> list[tuple[str, str]]:
    return [(one.name, one.row.code) for one in drop_reports.open_reports(owner, most=10)]


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (symlink, "not_a_regular_file"),
        (fifo, "not_a_regular_file"),
        (device, "not_a_regular_file"),
        (hard_link, "hard_linked"),
        (executable, "media_type_denied"),
    ],
)
def test_what_is_refused_is_reported_to_its_owner(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    stranger: Any,
    put: Callable[[Scene], None],
    code: str,
) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    put(scene)
    scene.watch()
    assert reports(scene.owner) == [("x", code)]
    assert reports(stranger) == []
    (report,) = drop_reports.open_reports(scene.owner, most=10)
    receipt = scene.receipt("failed/x.json")
    assert report.row.detail == receipt["detail"]
    assert report.row.kept_until is not None
    assert report.row.kept_until.isoformat(timespec="seconds") == receipt["kept_until"]
    event = Event.objects.get(name="drop.reported")
    assert (event.owner, event.data) == (scene.owner, {"report": str(report.row.pk)})


@pytest.mark.parametrize("raw", [b"\xff\xfe.bin", b"<script>.exe", b"layoffs in march.exe"])
def test_names_in_reports_are_sealed(scene: Scene, raw: bytes) -> None:
    name = os.fsdecode(raw)
    scene.drop(name, b"MZ" + bytes(1000))
    scene.watch()
    assert reports(scene.owner) == [(name, "media_type_denied")]
    row = DropReport.objects.get()
    assert bytes(row.sealed_name).find(raw) == -1
    assert "layoffs" not in serializers.serialize("json", DropReport.objects.all())


def test_a_crash_after_the_report_makes_no_second_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    executable(scene)
    with monkeypatch.context() as patch:
        patch.setattr(folders.DropFolder, "fail_claimed", die)
        with pytest.raises(Killed):
            scene.watch()
    assert len(reports(scene.owner)) == 1, "told before it is moved"
    scene.restart()
    scene.watch()
    assert len(reports(scene.owner)) == 1
    assert "x" in scene.names("failed")


def tell(owner: Any, mark: str, **when: Any) -> None:
    drop_reports.report(owner, name="x", error=Unreadable(), mark=mark, **when)


def test_a_report_that_was_dismissed_is_not_made_again(owner: Any) -> None:
    tell(owner, "1")
    assert drop_reports.dismiss(owner, drop_reports.open_reports(owner, most=1)[0].row.pk)
    tell(owner, "1")
    assert reports(owner) == []
    assert not drop_reports.open_reports(owner, most=1)


def test_only_the_owner_dismisses(owner: Any, stranger: Any) -> None:
    tell(owner, "1")
    tell(owner, "2")
    assert not drop_reports.dismiss(stranger, DropReport.objects.first().pk)  # type: ignore[union-attr]
    assert not drop_reports.dismiss(stranger, None)
    assert len(reports(owner)) == 2
    assert drop_reports.dismiss(owner, None)
    assert reports(owner) == []


def test_reports_go_when_they_are_old_but_not_before_the_original(owner: Any) -> None:
    now = timezone.now()
    for mark, until in [("a", None), ("b", now - timedelta(1)), ("c", now + timedelta(1))]:
        tell(owner, mark, kept_until=until)
    drop_reports.forget_old(owner)
    assert DropReport.objects.count() == 3
    DropReport.objects.update(created_at=now - timedelta(days=31))
    drop_reports.forget_old(owner)
    assert [row.mark for row in DropReport.objects.all()] == ["c"]


def test_reports_of_one_owner_are_not_without_number(
    owner: Any, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_reports, "MOST", 3)
    for number in range(5):
        tell(owner, f"{number}")
        tell(stranger, f"{number}")
    drop_reports.forget_old(owner)
    kept = DropReport.objects.filter(owner=owner).values_list("mark", flat=True)
    assert set(kept) == {"2", "3", "4"}
    assert DropReport.objects.filter(owner=stranger).count() == 5


# --- How long anything is kept -------------------------------------------------------------------


def age(scene: Scene, days: float) -> None:
    """Let everything have been written so many days earlier."""
    for path in scene.folder.root.rglob("*.json"):
        then = path.stat().st_mtime - days * 24 * 60 * 60
        facts = json.loads(path.read_text())
        if "kept_until" in facts:
            until = datetime.fromisoformat(facts["kept_until"]) - timedelta(days=days)
            path.write_text(json.dumps(facts | {"kept_until": until.isoformat()}))
        os.utime(path, (then, then))


@pytest.fixture
def kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a folder in which each kind of thing lies that is kept."""
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    scene.drop("good.txt")
    scene.watch()
    scene.end_runs()
    scene.drop("bad.txt", b"another\n")
    scene.watch()
    Upload.objects.filter(state=UploadState.QUEUED).update(state=UploadState.FAILED)
    scene.watcher.close_notes()
    symlink(scene)
    scene.drop(f"{'d/' * folders.DEEPEST}deep/inner/y.txt")
    scene.watch()
    (scene.folder.root / "failed" / "my own notes.json").write_text('{"mine": 1}')
    (scene.folder.root / "failed" / "no receipt").write_text("put there by somebody")
    return scene


EVERYTHING = {
    "processed": ["good.txt.json"],
    "failed": [
        "bad.txt.json",
        "deep",
        "deep.json",
        "my own notes.json",
        "no receipt",
        "x",
        "x.json",
    ],
}
OTHERS = {"failed": ["my own notes.json", "no receipt"]}


def test_receipts_and_refused_originals_go_when_their_time_is_over(kept: Scene) -> None:
    age(kept, 29)
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in EVERYTHING} == EVERYTHING
    age(kept, 2)
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in EVERYTHING} == {"processed": [], **OTHERS}
    assert (kept.root / "secret.txt").exists(), "a link goes, not what it led to"


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        (
            {"DROP_RECEIPT_DAYS": 0},
            {
                "processed": ["good.txt.json"],
                "failed": ["bad.txt.json", "my own notes.json", "no receipt"],
            },
        ),
        (
            {"DROP_REFUSED_DAYS": 0},
            {
                "processed": [],
                "failed": ["deep", "deep.json", "my own notes.json", "no receipt", "x", "x.json"],
            },
        ),
        ({"DROP_RECEIPT_DAYS": 0, "DROP_REFUSED_DAYS": 0}, EVERYTHING),
    ],
)
def test_each_can_be_kept_for_ever(
    kept: Scene, settings: Any, setting: dict[str, int], left: dict[str, list[str]]
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, **setting}
    age(kept, 1000)
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in left} == left


def test_a_shorter_time_breaks_no_promise(kept: Scene, settings: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "DROP_RECEIPT_DAYS": 1, "DROP_REFUSED_DAYS": 1}
    for path in kept.folder.root.rglob("*.json"):
        os.utime(path, (0, 0))
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in EVERYTHING} == EVERYTHING


@pytest.mark.parametrize("promise", ["soon", 7, None, "0001-01-01T00:00:00"])
def test_a_promise_that_is_none_keeps_nothing_and_stops_nothing(kept: Scene, promise: Any) -> None:
    for path in kept.folder.root.rglob("*.json"):
        facts = json.loads(path.read_text())
        path.write_text(json.dumps(facts | {"kept_until": promise} if "state" in facts else facts))
        os.utime(path, (0, 0))
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in EVERYTHING} == {"processed": [], **OTHERS}


@pytest.mark.parametrize("error", [PermissionError, RecursionError])
def test_what_cannot_be_removed_keeps_nothing_else_and_is_tried_again(
    kept: Scene, monkeypatch: pytest.MonkeyPatch, caplog: Any, error: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    age(kept, 31)
    with monkeypatch.context() as stuck:
        stuck.setattr(shutil, "rmtree", refuse)
        kept.watcher.tidy()
    left = {"processed": [], "failed": ["deep", "deep.json", *OTHERS["failed"]]}
    assert {part: kept.names(part) for part in EVERYTHING} == left
    assert caplog.text.count("something old cannot be removed") == 1
    kept.watcher.tidy()
    assert {part: kept.names(part) for part in EVERYTHING} == {"processed": [], **OTHERS}


def test_receipts_that_cannot_be_moved_are_told_once_a_sweep_and_keep_no_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        scene.drop(name, name.encode())
    scene.watch()
    middle = Upload.objects.order_by("pk")[1]
    Upload.objects.update(state=UploadState.SUCCEEDED)
    Upload.objects.filter(pk=middle.pk).update(state=UploadState.FAILED)
    failed = scene.folder.root / "failed"
    failed.rmdir()
    failed.touch()
    for _ in range(5):
        scene.watcher.close_notes()
    assert len(scene.names("processed")) == 2
    assert caplog.text.count("something failed and is tried again") == 1
    failed.unlink()
    failed.mkdir()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + watcher.SWEEP_PAUSE_S + 1)
    scene.watcher.close_notes()
    assert len(scene.names("failed")) == 1
