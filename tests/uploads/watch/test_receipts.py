"""What comes back for a file that was taken: a receipt, when its run has ended."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.uploads.watch.conftest import Scene
from uploads.models import Upload, UploadState
from uploads.watch import folders, receipts

pytestmark = pytest.mark.django_db


def test_the_file_goes_with_the_commit_and_a_receipt_comes_with_the_end(scene: Scene) -> None:
    scene.drop("report.txt")
    scene.watch()
    upload = Upload.objects.get()
    assert list(scene.everything()) == ["underprocess"], "a receipt waits, the file is gone"
    scene.watcher.close_notes()
    assert list(scene.everything()) == ["underprocess"]
    scene.end_runs()
    assert scene.everything() == {"processed": ["report.txt.json"]}
    receipt = scene.receipt("processed/report.txt.json")
    assert receipt.pop("kept_until") > timezone.now().isoformat()
    assert receipt == {
        "name": "report.txt",
        "upload": str(upload.pk),
        "size": 9,
        "sha256": upload.sha256,
        "media_type": "text/plain",
        "state": "succeeded",
        "url": f"/uploads/{upload.pk}/",
    }


@pytest.mark.parametrize("state", [UploadState.FAILED, UploadState.CANCELLED])
def test_the_receipt_of_a_run_that_did_not_succeed_lies_in_failed(
    scene: Scene, state: UploadState
) -> None:
    scene.drop("report.txt")
    scene.watch()
    scene.end_runs(state)
    assert scene.everything() == {"failed": ["report.txt.json"]}
    assert scene.receipt("failed/report.txt.json")["state"] == state


def test_an_upload_that_was_deleted_meanwhile_leaves_a_receipt(scene: Scene, stranger: Any) -> None:
    scene.drop("report.txt")
    scene.watch()
    Upload.objects.update(owner=stranger)
    scene.watcher.close_notes()
    assert scene.receipt("processed/report.txt.json")["state"] == "deleted"


def test_files_with_the_same_name_keep_receipts_of_their_own(scene: Scene) -> None:
    for content in (b"first\n", b"second\n", b"third\n"):
        scene.drop("daily.csv", content)
        scene.watch()
        scene.end_runs()
    assert len(scene.names("processed")) == 3
    ids = {scene.receipt(f"processed/{name}")["upload"] for name in scene.names("processed")}
    assert ids == {str(pk) for pk in Upload.objects.values_list("pk", flat=True)}


def test_a_receipt_that_waited_is_finished_by_the_next_watcher(scene: Scene) -> None:
    scene.drop("x")
    scene.watch()
    scene.restart()
    scene.watch()
    scene.end_runs()
    assert scene.everything() == {"processed": ["x.json"]}


def test_a_damaged_receipt_is_read_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("", "{", "[]", "\x00"):
        path.write_text(content)
        with folders.opened(tmp_path) as folder:
            assert receipts.read_receipt(folder, "x.json") == {}


def test_a_name_of_full_length_leaves_room_for_the_token(tmp_path: Path) -> None:
    name, token = "n" * 255, "t" * 32
    with folders.opened(tmp_path) as folder:
        first = receipts.free_stem(folder, name, token)
        receipts.write_receipt(folder, f"{first}.json", {})
        second = receipts.free_stem(folder, name, token)
        receipts.write_receipt(folder, f"{second}.json", {})
    assert (len(first), len(second)) == (242, 242)
    assert second.endswith(f".{token}")
