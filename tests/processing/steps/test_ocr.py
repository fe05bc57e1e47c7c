"""Text in pictures."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from processing import health
from processing.sandbox import Sandbox
from processing.steps import ocr
from processing.steps.contract import StepFailed
from processing.steps.ocr import tesseract
from tests.processing.sandbox.cast import Artifacts
from tests.processing.steps.harness import run
from tests.processing.steps.test_pdf_text import pdf
from tests.source import BytesSource

step = ocr.step
LINE = "Invoice 4711 for anna"
installed = pytest.mark.skipif(not tesseract.is_installed(), reason="Tesseract is not installed.")


def drawn(text: str = LINE, mode: str = "L", paper: Any = 255, ink: Any = 0) -> Image.Image:
    image = Image.new(mode, (1200, 200), paper)
    font = ImageFont.load_default(48)
    ImageDraw.Draw(image).text((40, 60), text, font=font, fill=ink)
    return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@installed
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (saved(drawn(), "PNG"), "image/png"),
        (saved(drawn(), "JPEG"), "image/jpeg"),
        (saved(drawn(mode="RGBA", paper=(0, 0, 0, 0), ink=(0, 0, 0, 255)), "PNG"), "image/png"),
        (saved(drawn(), "PDF", resolution=150), "application/pdf"),
    ],
)
def test_letters_are_read(content: bytes, media_type: str) -> None:
    result = run(step, content, media_type)
    assert result.text("text.txt") == f"{LINE}\n\f"
    assert result.output["characters"] == len(LINE)
    assert result.output["complete"] is True
    assert result.output["pages_read"] == 1


@installed
def test_each_frame_is_a_page_up_to_the_limit() -> None:
    frames = [drawn("first page"), drawn("second page"), drawn("third page")]
    content = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    result = run(step, content, "image/tiff", {"max_pages": 2})
    assert result.text("text.txt") == "first page\n\fsecond page\n\f"
    assert (result.output["pages"], result.output["pages_read"]) == (3, 2)
    assert result.output["complete"] is False


@installed
def test_pages_that_have_text_are_not_read_again() -> None:
    result = run(step, pdf("typed", "typed as well"), "application/pdf")
    assert result.artifacts == {}
    assert result.output["pages_with_text"] == 2
    assert (result.output["pages_read"], result.output["characters"]) == (0, 0)
    assert result.output["complete"] is True


@installed
def test_a_page_of_absurd_size_is_drawn_small_or_not_at_all() -> None:
    wide = pdf("").replace(b"[0 0 612 792]", b"[0 0 2000000000 9]")
    with pytest.raises(StepFailed) as failure:
        run(step, wide, "application/pdf")
    assert failure.value.code == "pdf_unreadable"
    large = pdf("").replace(b"[0 0 612 792]", b"[0 0 200000 200000]")
    assert run(step, large, "application/pdf").output["pages_read"] == 1


@installed
def test_more_pixels_than_allowed_are_refused_by_the_header(monkeypatch: Any) -> None:
    monkeypatch.setattr(ocr, "MAX_PIXELS", 1200 * 200 - 1)
    with pytest.raises(StepFailed) as failure:
        run(step, saved(drawn(), "PNG"), "image/png")
    assert failure.value.code == "image_too_large"


@installed
def test_no_page_is_begun_when_the_time_is_over(monkeypatch: Any) -> None:
    monkeypatch.setattr(ocr, "BEGIN_WITHIN_S", -1.0)
    output = run(step, saved(drawn(), "PNG"), "image/png").output
    assert (output["out_of_time"], output["complete"], output["pages_read"]) == (True, False, 0)


@installed
def test_a_language_that_is_not_installed_is_named_as_the_reason() -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, saved(drawn(), "PNG"), "image/png", {"languages": ["eng", "xyz"]})
    assert failure.value.code == "ocr_language_missing"


@pytest.mark.parametrize("lacking", ["library", "languages"])
def test_without_the_program_the_step_says_so(lacking: str, monkeypatch: Any) -> None:
    if lacking == "library":
        monkeypatch.setattr(tesseract, "LIBRARIES", ("libnowhere.so.1",))
    else:
        monkeypatch.setattr(tesseract, "DATA_FOLDERS", ("/nowhere",))
    assert not tesseract.is_installed()
    assert health.ocr() == "not_installed"
    content = saved(drawn(), "PNG")
    with pytest.raises(StepFailed) as failure:
        run(step, content, "image/png")
    assert failure.value.code == "ocr_not_installed"
    assert "Tesseract" in failure.value.detail
    skipped = run(step, content, "image/png", {"missing": "skip"})
    assert skipped.output == {"installed": False, "characters": 0}
    assert skipped.artifacts == {}


@installed
def test_it_works_where_it_is_locked_in() -> None:
    """The child may write no file and start no program: all goes from memory to memory."""
    artifacts = Artifacts()
    with (
        Sandbox() as sandbox,
        sandbox.open(BytesSource(saved(drawn(), "PNG")), "image/png") as session,
    ):
        outcome = session.run("ocr", settings={}, results={}, open_artifact=artifacts.open)
    assert outcome.output["installed"] is True
    assert artifacts.sinks["text.txt"].content == f"{LINE}\n\f".encode()
