"""Steps over real and hostile files: each ends well or with a reason, and takes nothing along."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from processing.steps import registry
from tests.processing.steps.corpus import ROOT, manifest
from tests.processing.steps.harness import run
from uploads.media_types import HEAD_BYTES, detect


def isolated(step: str, files: list[Path]) -> dict[str, str]:
    """Return what became of each file, by its path."""
    command = [sys.executable, "-m", "tests.processing.steps.isolated", step, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=True)
    answers: dict[str, str] = json.loads(done.stdout)
    assert len(answers) == len(files)
    return answers


def those_of(corpus: Path, folder: str) -> list[Path]:
    files = sorted(path for path in (corpus / folder).rglob("*") if path.is_file())
    assert files
    return files


@pytest.mark.parametrize("folder", ["csv-spectrum", "hostile/table"])
def test_every_table_of_the_corpus_is_profiled_or_refused(corpus: Path, folder: str) -> None:
    files = [path for path in those_of(corpus, folder) if path.suffix == ".csv"]
    answers = isolated("csv_profile", files)
    refused = {Path(path).name: answer for path, answer in answers.items() if answer != "ok"}
    assert refused == ({"one_long_field.csv": "csv_field_too_long"} if "hostile" in folder else {})


def test_the_profile_of_a_dialect_corner_agrees_with_its_known_parse(corpus: Path) -> None:
    for path in those_of(corpus, "csv-spectrum"):
        if path.suffix != ".csv":
            continue
        twin = path.with_name(path.name.replace("_crlf", "")).with_suffix(".json")
        twin = twin if twin.exists() else path.with_suffix(".json")
        known = json.loads(twin.read_text("utf-8"))
        expected = known if isinstance(known, list) else [known]
        profile = run(registry.get("csv_profile"), path.read_bytes(), "text/csv").output
        columns = profile["columns"]
        assert profile["rows"] == len(expected), path.name
        assert [column["name"] for column in columns] == list(expected[0]), path.name  # type: ignore[index,call-overload,union-attr]


@pytest.mark.parametrize("folder", ["qpdf", "qpdf-fuzz", "hostile/pdf"])
def test_every_pdf_of_the_corpus_is_read_or_refused(corpus: Path, folder: str) -> None:
    answers = isolated("pdf_text", those_of(corpus, folder))
    assert set(answers.values()) <= {"ok", "pdf_encrypted", "pdf_unreadable"}
    assert "ok" in answers.values()


def test_encrypted_pdfs_are_told_from_damaged_ones(corpus: Path) -> None:
    files = [
        corpus / row["file"]
        for row in manifest(corpus)
        if row["class"] == "encrypted" and row["file"].startswith("qpdf/")
    ]
    answers = isolated("pdf_text", files)
    assert set(answers.values()) <= {"pdf_encrypted", "ok"}, answers  # some open without a password
    assert "pdf_encrypted" in answers.values()


@pytest.mark.parametrize("folder", ["pillow-hostile", "hostile/image"])
def test_every_image_of_the_corpus_gets_a_thumbnail_or_a_reason(corpus: Path, folder: str) -> None:
    answers = isolated("thumbnail", those_of(corpus, folder))
    assert set(answers.values()) <= {"ok", "image_unreadable", "image_too_large"}


def test_every_good_image_of_a_known_kind_gets_a_thumbnail(corpus: Path) -> None:
    readable = registry.get("thumbnail").reads
    files = [
        path
        for path in those_of(corpus, "pillow-good")
        if readable(detect(path.read_bytes()[:HEAD_BYTES])) and path.name != "hopper_webp.tif"
    ]
    assert len(files) > 25
    assert set(isolated("thumbnail", files).values()) == {"ok"}


def test_pixel_floods_are_refused_by_their_header(corpus: Path) -> None:
    files = [corpus / "hostile/image" / name for name in ("pixel_flood_30000.png", "huge_dims.jpg")]
    assert set(isolated("thumbnail", files).values()) == {"image_too_large"}


@pytest.mark.slow
def test_every_text_of_the_corpus_is_routed(corpus: Path) -> None:
    lines = registry.get("lines")
    files = [
        corpus / row["file"]
        for row in manifest(corpus)
        if int(row["size"]) > 0
        and lines.reads(detect((corpus / row["file"]).read_bytes()[:HEAD_BYTES]))
    ]
    assert len(files) > 300
    assert set(isolated("lines", files).values()) == {"ok"}
