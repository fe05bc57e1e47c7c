"""`manage.py process`: one file, in one go."""

import json
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from processing import queue, runner
from processing.models import Run
from uploads.models import Door, Upload
from uploads.names import name_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines", "owner")]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "notes.txt"
    path.write_bytes(b"first line\nan ERROR here\n")
    return path


def process_file(file: Path, **options: Any) -> str:
    out = StringIO()
    call_command("process", str(file), user="olive", stdout=out, **options)
    return out.getvalue()


def test_it_prints_the_trace_and_writes_what_the_steps_made(file: Path) -> None:
    printed = process_file(file)
    upload = Upload.objects.get()
    run = Run.objects.get()
    assert (name_of(upload), upload.door) == ("notes.txt", Door.COMMAND)
    assert run.state == "succeeded"
    assert printed.endswith(f"run {run.pk} succeeded\n")
    for step in run.records.values_list("step", flat=True):
        assert f"\n{step} " in printed
    written = [path for path in Path("notes.txt.out").rglob("*") if path.is_file()]
    assert written
    assert all(f"wrote {path}" in printed for path in written)
    assert Path("notes.txt.out/lines/lines.txt").read_bytes()


def test_what_it_writes_is_for_its_owner_alone(file: Path) -> None:
    process_file(file)
    out = Path("notes.txt.out")
    assert {path.stat().st_mode & 0o077 for path in (out, *out.rglob("*"))} == {0}


def test_a_link_in_place_of_a_result_is_replaced(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("do not write me\n")
    result = Path("notes.txt.out/lines/lines.txt")
    result.parent.mkdir(parents=True)
    result.symlink_to(kept)
    process_file(file)
    assert kept.read_text() == "do not write me\n"
    assert result.read_bytes()
    assert not result.is_symlink()


@pytest.mark.parametrize("link", ["notes.txt.out", "notes.txt.out/lines"])
def test_a_link_in_place_of_a_folder_is_not_followed(file: Path, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(elsewhere)
    with pytest.raises(CommandError, match="cannot be written"):
        process_file(file)
    assert list(elsewhere.iterdir()) == []


def test_it_prints_json_that_says_what_the_api_says(file: Path, tmp_path: Path) -> None:
    data = json.loads(process_file(file, json=True, out=tmp_path / "elsewhere"))
    assert data["upload"]["name"] == "notes.txt"
    assert data["run"]["state"] == data["upload"]["state"] == "succeeded"
    assert {record["state"] for record in data["trace"]} == {"succeeded"}
    assert (tmp_path / "elsewhere" / "lines").is_dir()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "empty_file: "),
        (b"MZ" + bytes(1000), {}, "media_type_denied: "),
        (b"text\n", {"pipeline": "nothing"}, "unknown_pipeline: "),
        (b"text\n", {"user": "nobody"}, "There is no active user 'nobody'."),
        (None, {}, "cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_is_not_taken_in_ends_with_2(
    file: Path, content: bytes | None, options: dict[str, str], message: str
) -> None:
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(CommandError) as refusal:
        call_command("process", str(file), **{"user": "olive"} | options)
    assert refusal.value.returncode == 2
    assert message in str(refusal.value)
    assert not Upload.objects.exists()


def test_a_run_that_fails_ends_with_1_and_says_why(file: Path) -> None:
    file.write_bytes(b"%PDF-1.7\nnot really\n")
    out = StringIO()
    with pytest.raises(SystemExit) as ending:
        call_command("process", str(file), user="olive", stdout=out)
    assert ending.value.code == 1
    run = Run.objects.get()
    assert run.error_code
    assert f"run {run.pk} failed ({run.error_code}: {run.error_detail})" in out.getvalue()


def test_a_run_that_a_worker_took_is_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = queue.claim
    waited: list[queue.Claim] = []

    def claim_late(run_id: Any, worker: str) -> Any:
        if waited:
            return None
        theirs = claim(run_id, "a worker")
        assert theirs is not None
        waited.append(theirs)
        return None

    monkeypatch.setattr(queue, "claim", claim_late)
    monkeypatch.setattr(time, "sleep", lambda _: runner.execute(waited[0]))
    assert "succeeded" in process_file(file)
