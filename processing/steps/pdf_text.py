"""The text of a PDF, page by page, and what the document says about itself."""

import ctypes
from collections.abc import Iterator
from typing import Any, BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium

from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed

MAX_PAGE_CHARS = 2_000_000
MAX_TEXT_CHARS = 64_000_000
MAX_UNREADABLE_NAMED = 20  # pages
MAX_METADATA_CHARS = 500  # a value
MAX_SIDE_POINTS = 1_000_000  # PDFium's memory grows with it; Acrobat's own limit is 14,400
PAGE_END = "\n\f"

# PDFium puts these into text: its own mark for a hyphen at a line's end, and what fonts without
# a character map give.
_CLEAN = {code: None for code in range(32) if chr(code) not in "\n\t"} | {0xFFFE: "-", 2: "-"}

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "max_pages": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 5000}
    },
}


def run(context: StepContext) -> Output:
    """Return page counts and metadata; the text is the artifact `text.txt`, if there is any.

    Raises:
        StepFailed: `pdf_encrypted`, `pdf_unreadable` (nothing in it, or no page, can be read).
    """
    max_pages: Any = context.settings.get("max_pages", 5000)
    document = open_document(context.content)
    try:
        pages = len(document)
        text = TextArtifact(context)
        unreadable: list[JSON] = []
        read = 0
        for number in range(1, min(pages, max_pages) + 1):
            try:
                text.add(text_of_page(document, number - 1))
            except pypdfium2.PdfiumError:
                unreadable.append(number)
                text.add("")
            read += 1
            if text.full:
                break
        if len(unreadable) == read:
            raise StepFailed("pdf_unreadable", "No page of the PDF can be read.")
        text.close()
        return {
            "pages": pages,
            "pages_read": read - len(unreadable),
            "unreadable_pages": len(unreadable),
            "first_unreadable_pages": unreadable[:MAX_UNREADABLE_NAMED],
            "characters": text.characters,
            "complete": read - len(unreadable) == pages and not text.cut,
            "protected": pdfium.FPDF_GetSecurityHandlerRevision(document) != -1,
            "version": document.get_version(),
            "metadata": _metadata(document),
        }
    finally:
        document.close()


def text_of(context: StepContext) -> Iterator[str]:
    """Yield the text of each page that can be read, a form feed after each.

    Raises:
        StepFailed: `pdf_encrypted`, `pdf_unreadable`.
    """
    document = open_document(context.content)
    try:
        for index in range(len(document)):
            try:
                yield text_of_page(document, index)[:MAX_PAGE_CHARS] + PAGE_END
            except pypdfium2.PdfiumError:
                yield PAGE_END
    finally:
        document.close()


def open_document(content: BinaryIO) -> Any:
    """Return the document of PDFium; it is to be closed.

    Raises:
        StepFailed: `pdf_encrypted`, `pdf_unreadable`.
    """
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise StepFailed("pdf_encrypted", "The PDF is encrypted with a password.") from None
        raise StepFailed("pdf_unreadable", "The PDF is damaged, or is none.") from None


def text_of_page(document: Any, index: int) -> str:
    """Return the text of a page, from 0, cut one character behind its limit.

    Raises:
        PdfiumError: the page cannot be read.
    """
    page = document[index]
    try:
        if max(page.get_size()) > MAX_SIDE_POINTS:
            raise pypdfium2.PdfiumError("The page is larger than pages are.")
        text_page = page.get_textpage()
        count = min(text_page.count_chars(), MAX_PAGE_CHARS + 1)
        text: str = text_page.get_text_range(0, count) if count else ""
    finally:
        page.close()
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CLEAN).rstrip()


class TextArtifact:
    """`text.txt`, opened at the first page that has text; every page ends with a form feed."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._artifact: BinaryIO | None = None
        self._waiting = ""
        self.characters = 0
        self.cut = False

    @property
    def full(self) -> bool:
        """Tell whether no more text is taken."""
        return self.characters >= MAX_TEXT_CHARS

    def add(self, text: str) -> None:
        """Append one page."""
        self.cut = self.cut or len(text) > MAX_PAGE_CHARS
        text = text[:MAX_PAGE_CHARS]
        self.characters += len(text)
        self._waiting += text + PAGE_END
        if text and self._artifact is None:
            self._artifact = self._context.open_artifact("text.txt", "text/plain; charset=utf-8")
        if self._artifact is not None:
            self._artifact.write(self._waiting.encode("utf-8", "replace"))
            self._waiting = ""

    def close(self) -> None:
        """Finish the artifact, if there is one."""
        if self._artifact is not None:
            self._artifact.close()


def _metadata(document: Any) -> Output:
    found: Output = {}
    for key in document.METADATA_KEYS:
        if value := _metadata_value(document, key):
            found[key] = value
    return found


def _metadata_value(document: Any, key: str) -> str:
    """Return one value; the library's own way raises where a value is not valid UTF-16."""
    name = key.encode() + b"\0"
    size = min(pdfium.FPDF_GetMetaText(document, name, None, 0), 2 * MIB)
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetMetaText(document, name, buffer, size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", "replace")[:MAX_METADATA_CHARS]


step = Step(
    "pdf_text",
    run,
    title="Text from PDF",
    media_types=("application/pdf",),
    limits=Limits(wall_s=300, cpu_s=240, memory_bytes=1024 * MIB),
    settings_schema=SCHEMA,
)
