"""What hostile content tries, and what must happen: each row names the tests, or why there is none.

The campaign hands in every hostile file of the corpus, and works on it as a worker does.
"""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from processing import queue, runner
from processing.models import Run, RunState, StepRecord
from tests.processing.steps.corpus import ROOT, corpus, manifest
from uploads.errors import Refusal
from uploads.intake import Offer, receive_upload
from uploads.models import Door, IntakePolicy, Upload

__all__ = ["corpus"]

MIB = 1024 * 1024
WITHIN_S = 10.0
MEMORY_BYTES = 512 * MIB

# Threat -> the tests that try it (file::beginning of a test's name), or the reason why none can.
ROWS: dict[str, list[str] | str] = {
    "type masquerade": [
        "tests/uploads/test_inspection.py::test_what_is_noticed",
        "tests/uploads/test_inspection.py::test_types_of_the_corpus",
        "tests/uploads/test_policies.py::test_the_name_does_not_open_a_door",
    ],
    "macro container renamed": [
        "tests/uploads/test_inspection.py::test_what_is_noticed",
        "tests/uploads/test_policies.py::test_a_macro_in_disguise_is_quarantined_by_default",
    ],
    "polyglots": ["tests/uploads/test_inspection.py::test_what_is_noticed"],
    "members that lead elsewhere": [
        "tests/processing/scanning/test_checks_of_a_file.py::test_an_archive_is_read_to_its_end",
    ],
    "bombs": [
        "tests/processing/scanning/test_checks_of_a_file.py::test_an_archive_is_read_to_its_end",
        "tests/processing/scanning/test_checks_of_a_file.py::test_a_zip_bomb_meets_the_limits",
        "tests/acceptance/test_hostile_content.py::test_every_hostile_file_comes_to_an_end",
    ],
    "office bombs": [
        "tests/processing/scanning/test_checks_of_a_file.py::test_an_archive_is_read_to_its_end",
    ],
    "XML entities": [
        "tests/uploads/test_inspection.py::test_what_is_noticed",
        "tests/acceptance/test_hostile_content.py::test_every_hostile_file_comes_to_an_end",
    ],
    "images": ["tests/acceptance/test_hostile_content.py::test_every_hostile_file_comes_to_an_end"],
    "PDF": [
        "tests/uploads/test_inspection.py::test_what_is_noticed",
        "tests/acceptance/test_hostile_content.py::test_every_hostile_file_comes_to_an_end",
    ],
    "image and document tools by delegate": (
        "No such tool is shipped or called: steps run in a process that cannot start another one "
        "(tests/processing/sandbox/test_denials.py)."
    ),
    "YAML bombs and pickles": (
        "Content is never read as YAML or as a pickle: no step has a reader for either. The "
        "corpus' bomb runs through the campaign as text."
    ),
    "virus scanner evaded, down, slow, talking nonsense": [
        "tests/processing/scanning/test_clamd.py::test_every_other_answer_means",
        "tests/processing/scanning/test_clamd.py::test_a_scanner_that_never_answers",
        "tests/processing/scanning/test_clamd.py::test_a_scanner_that_dies_in_the_middle",
        "tests/processing/scanning/test_checks_of_a_file.py::test_no_clear_answer_is_no_pass",
        "tests/processing/scanning/test_checks_of_a_file.py::test_what_clamd_would_pass_over",
        "tests/services/test_clamd.py::test_it_finds_the_test_string_wherever_it_is",
        "tests/services/test_clamd.py::test_what_unpacks_to_more_than_it_scans_is_not_clean",
        "tests/processing/test_checking.py::test_a_held_file_leaves_only_when",
    ],
    "script in metadata": [
        "tests/dashboard/test_upload_and_run.py::test_every_kind_of_result_is_shown",
    ],
    "active content served": [
        "tests/uploads/api/test_uploads_api.py::test_content_comes_back_whole",
        "tests/uploads/test_inspection.py::test_what_is_noticed",
    ],
    "formulas in tables": (
        "Nothing is exported as CSV. The profile of a table counts cells that a spreadsheet would "
        "run and shows them escaped (tests/processing/steps/test_csv_profile.py)."
    ),
}


@pytest.mark.parametrize("threat", ROWS)
def test_each_threat_has_its_test_or_its_reason(threat: str) -> None:
    tried = ROWS[threat]
    if isinstance(tried, str):
        assert len(tried) > 40
        return
    for name in tried:
        path, _, test = name.partition("::")
        assert re.search(rf"^def {test}", (ROOT / path).read_text(), re.MULTILINE), name


def hostile(folder: Path) -> Iterator[Path]:
    for row in manifest(folder):
        if row["file"].startswith("hostile/") or row["class"] == "hostile":
            yield folder / row["file"]


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.usefixtures("pipelines")
def test_every_hostile_file_comes_to_an_end(corpus: Path, owner: Any) -> None:
    """Refused, or worked on until its run has ended: in time, in memory, the worker alive.

    Programs are let in, so that they are looked at, too.
    """
    IntakePolicy.objects.create(denied_types="none/none")
    took: dict[str, float] = {}
    verdicts: dict[str, str] = {}
    for path in hostile(corpus):
        offer = Offer(owner=owner, name=path.name, declared_type="", door=Door.API)
        began = time.monotonic()
        try:
            upload = receive_upload(offer, io.BytesIO(path.read_bytes()))
        except Refusal as refusal:
            verdicts[path.name] = refusal.code
            continue
        run = _work(upload)
        took[path.name] = time.monotonic() - began
        verdicts[path.name] = f"{upload.verdict} {run.state} {run.error_code}"
        assert run.state in (RunState.SUCCEEDED, RunState.FAILED), (path.name, run.state)
        assert upload.verdict in ("passed", "quarantined"), (path.name, upload.verdict)
    for name, outcome in sorted(verdicts.items()):
        print(f"{took.get(name, 0):6.2f} s  {outcome:40}  {name}")
    assert len(verdicts) > 60
    assert {name: s for name, s in took.items() if s > WITHIN_S} == {}
    used = StepRecord.objects.filter(max_rss_bytes__gt=MEMORY_BYTES + 128 * MIB)
    assert list(used.values_list("step", "max_rss_bytes")) == []
    for bomb in ("bomb_flat_200MiB.zip", "bomb_nested_5_levels.zip", "bomb_200MiB.gz",
                 "many_entries_20000.zip", "sparse_1TiB.tar", "bomb_document_xml.docx",
                 "macro_renamed.docx"):  # fmt: skip
        assert verdicts[bomb].startswith("quarantined"), (bomb, verdicts[bomb])


def _work(upload: Upload) -> Run:
    """Work on the upload until its run has ended, through all its attempts."""
    for _ in range(5):
        Run.objects.filter(upload=upload).update(due_at=timezone.now())
        upload.refresh_from_db()
        assert upload.run_id is not None
        claim = queue.claim(upload.run_id, "worker")
        if claim is None:
            break
        runner.execute(claim)
    upload.refresh_from_db()
    return Run.objects.get(upload=upload)
