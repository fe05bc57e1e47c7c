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

TABLE = ROOT / "docs" / "content-threats.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> dict[str, str]:
    """Return the last cell of each row by its threat."""
    found = {}
    for line in TABLE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "threat":
            found[cells[0]] = cells[3]
    return found


def test_the_table_has_all_its_rows() -> None:
    assert len(rows()) == 15


@pytest.mark.parametrize("threat", rows())
def test_each_threat_has_its_test_or_its_reason(threat: str) -> None:
    cell = rows()[threat]
    tests = NAMED.findall(cell)
    assert tests or len(cell) > 40
    assert cell.startswith("There is no ") or not NAMED.sub("", cell).strip()
    for path, test in tests:
        assert re.search(rf"^def {test}", (ROOT / path).read_text("utf-8"), re.MULTILINE), test


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
