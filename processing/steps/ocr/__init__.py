"""The text in pictures: of images, and of the pages of a PDF that have no text of their own."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2
from PIL import Image

from processing.steps import pdf_text
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.document_text.sink import Full, TextSink
from processing.steps.ocr.tesseract import LanguageMissing, NotInstalled, Tesseract
from processing.steps.thumbnail import FORMATS, MAX_PIXELS, eight_bits, refusals

PDF = "application/pdf"
PAGE_END = "\n\f"
MAX_PAGES = 500
READ_PIXELS = 12_000_000  # of one page; larger pictures are made smaller first
DPI = 300  # at which the pages of a PDF are drawn, where that is not too large
POINTS = 72  # to the inch
MIN_SIDE = 8  # pixels; no letter is smaller
BEGIN_WITHIN_S = 240.0  # no page is begun later than that

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "languages": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z]{3}(_[a-z]{3,6})?$"},
            "minItems": 1,
            "maxItems": 5,
            "uniqueItems": True,
            "default": ["eng"],
        },
        "max_pages": {"type": "integer", "minimum": 1, "maximum": MAX_PAGES, "default": 50},
        "missing": {"enum": ["fail", "skip"], "default": "fail"},
    },
}


@dataclass(frozen=True)
class Picture:
    """A page in grey, one byte a pixel; `dpi` 0 where nobody knows it."""

    pixels: bytes
    width: int
    height: int
    stride: int
    dpi: int = 0


@dataclass
class Pages:
    """How many pages there are, and what became of them."""

    total: int = 0
    with_text: int = 0
    read: int = 0
    unreadable: int = 0


def run(context: StepContext) -> Output:
    """Return what was recognised; the text is the artifact `text.txt`, if there is any.

    Raises:
        StepFailed: `ocr_not_installed`, `ocr_language_missing`, `image_unreadable`,
            `image_too_large`, `pdf_encrypted`, `pdf_unreadable`.
    """
    settings: Any = context.settings
    try:
        with Tesseract(settings.get("languages", ["eng"])) as tesseract:
            found = _read(context, tesseract, settings.get("max_pages", 50))
            return {"installed": True, "program": f"Tesseract {tesseract.version}", **found}
    except NotInstalled:
        if settings.get("missing") == "skip":
            return {"installed": False, "characters": 0}
        raise StepFailed(
            "ocr_not_installed",
            "Letters in pictures cannot be recognised: Tesseract is not installed here.",
        ) from None
    except LanguageMissing:
        raise StepFailed(
            "ocr_language_missing",
            "A language of the step's settings is not installed for Tesseract.",
        ) from None


def _read(context: StepContext, tesseract: Tesseract, max_pages: int) -> Output:
    pages = Pages()
    sink = TextSink(context)
    sure: list[int] = []
    began = time.monotonic()
    pictures = _of_pdf if context.media_type.partition(";")[0].strip() == PDF else _of_image
    is_late = False
    try:
        for picture in pictures(context, pages):
            is_late = time.monotonic() - began > BEGIN_WITHIN_S
            if pages.read == max_pages or is_late:
                break
            text, percent = tesseract.read(**vars(picture))
            pages.read += 1
            if text.strip():
                sure.append(percent)
            sink.add(text.rstrip() + PAGE_END)
    except Full:
        pass
    sink.close()
    return {
        "pages": pages.total,
        "pages_read": pages.read,
        "pages_with_text": pages.with_text,
        "unreadable_pages": pages.unreadable,
        "characters": sink.characters - len(PAGE_END) * pages.read if sure else 0,
        "sure_percent": round(sum(sure) / len(sure)) if sure else None,
        "complete": pages.read + pages.with_text == pages.total and not sink.is_cut,
        "out_of_time": is_late,
    }


def _of_image(context: StepContext, pages: Pages) -> Iterator[Picture]:
    """Yield each frame, grey and upright."""
    with refusals(), Image.open(context.content, formats=list(FORMATS.values())) as image:
        pages.total = getattr(image, "n_frames", 1)
        if image.width * image.height > MAX_PIXELS:
            raise StepFailed("image_too_large", "The image has more pixels than allowed.")
    for frame in range(pages.total):
        with refusals(), Image.open(context.content, formats=list(FORMATS.values())) as image:
            image.seek(frame)
            if image.width * image.height > MAX_PIXELS:
                raise StepFailed("image_too_large", "The image has more pixels than allowed.")
            grey = _grey(image)
        yield Picture(grey.tobytes(), grey.width, grey.height, stride=grey.width)


def _grey(image: Image.Image) -> Image.Image:
    scale = math.sqrt(READ_PIXELS / (image.width * image.height))
    if scale < 1:
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image.draft("L", size)
        image.thumbnail(size, reducing_gap=2.0)
    picture = eight_bits(image)
    if picture.has_transparency_data:  # letters on nothing are letters on paper
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    return picture.convert("L")


def _of_pdf(context: StepContext, pages: Pages) -> Iterator[Picture]:
    """Yield each page that has no text, drawn in grey."""
    document = pdf_text.open_document(context.content)
    try:
        pages.total = len(document)
        for number in range(pages.total):
            try:
                if pdf_text.text_of_page(document, number):
                    pages.with_text += 1
                    continue
                picture = _drawn(document, number)
            except pypdfium2.PdfiumError:
                pages.unreadable += 1
                continue
            yield picture
        if pages.total and pages.unreadable == pages.total:
            raise StepFailed("pdf_unreadable", "No page of the PDF can be read.")
    finally:
        document.close()


def _drawn(document: Any, number: int) -> Picture:
    page = document[number]
    try:
        width, height = page.get_size()
        dpi = min(DPI, POINTS * math.sqrt(READ_PIXELS / max(1.0, width * height)))
        if min(width, height) * dpi / POINTS < MIN_SIDE:
            raise pypdfium2.PdfiumError("A page without an area.")
        bitmap = page.render(scale=dpi / POINTS, grayscale=True, may_draw_forms=False)
        try:
            return Picture(
                bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride, int(dpi)
            )
        finally:
            bitmap.close()
    finally:
        page.close()


step = Step(
    "ocr",
    run,
    title="Text in pictures",
    media_types=(PDF, *FORMATS),
    limits=Limits(wall_s=360, cpu_s=360, memory_bytes=1536 * MIB),
    settings_schema=SCHEMA,
)
