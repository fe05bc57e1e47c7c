"""The text of documents that are no PDF: office files, HTML, mails, RTF and plain text."""

import codecs
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from charset_normalizer import from_bytes

from processing.steps.archive import mail
from processing.steps.archive.limits import Damaged
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.document_text import html, office, rtf
from processing.steps.document_text.errors import DocumentDamaged, DocumentEncrypted
from processing.steps.document_text.sink import MAX_TEXT_CHARS, Full, TextSink
from processing.steps.markup import Reader
from processing.steps.text import UNDECODABLE, choose_encoding, decode
from uploads.media_types import HEAD_BYTES, encoding_of

GUESS_BYTES = 16 * 1024  # of text whose encoding nothing tells
BLOCK = 64 * 1024
MAX_HEADER_CHARS = 1000

_OOXML = "application/vnd.openxmlformats-officedocument."
_MS = "application/vnd.ms-"
_ODF = "application/vnd.oasis.opendocument."
OFFICE: dict[str, Callable[[office.Package], Iterator[str]]] = {
    _OOXML + "wordprocessingml.document": office.word_text,
    _OOXML + "wordprocessingml.template": office.word_text,
    _MS + "word.document.macroenabled.12": office.word_text,
    _OOXML + "presentationml.presentation": office.slides_text,
    _OOXML + "presentationml.slideshow": office.slides_text,
    _MS + "powerpoint.presentation.macroenabled.12": office.slides_text,
    _OOXML + "spreadsheetml.sheet": office.sheets_text,
    _MS + "excel.sheet.macroenabled.12": office.sheets_text,
    _ODF + "text": office.open_document_text,
    _ODF + "spreadsheet": office.open_document_text,
    _ODF + "presentation": office.open_document_text,
    _ODF + "graphics": office.open_document_text,
}
HTML = ("text/html", "application/xhtml+xml")
RTF = ("application/rtf", "text/rtf")
MAIL = "message/rfc822"
OTHER_TEXTS = ("text/plain", "text/markdown")

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "max_characters": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_TEXT_CHARS,
            "default": MAX_TEXT_CHARS,
        },
    },
}


def run(context: StepContext) -> Output:
    """Return counts and what the document says of itself; the text is the artifact `text.txt`.

    Raises:
        StepFailed: `document_damaged`, `document_encrypted`, those of the archive's limits.
    """
    most: Any = context.settings.get("max_characters", MAX_TEXT_CHARS)
    sink = TextSink(context, most)
    facts: Output = {}
    try:
        for piece in text_of(context, facts):
            sink.add(piece)
    except Full:
        pass
    except (DocumentDamaged, Damaged):
        raise StepFailed("document_damaged", "The document is damaged.") from None
    except DocumentEncrypted:
        raise StepFailed("document_encrypted", "The document is encrypted.") from None
    sink.close()
    return {"characters": sink.characters, "complete": not sink.is_cut, **facts}


def text_of(context: StepContext, facts: Output) -> Iterator[str]:
    """Return the text piece by piece, and put what else is known into `facts`."""
    media_type = context.media_type.partition(";")[0].strip().lower()
    if media_type in OFFICE:
        package = office.Package(context.content, context.size)
        facts["metadata"] = dict(office.facts_of(package))
        return OFFICE[media_type](package)
    if media_type in RTF:
        return rtf.RtfText().text_of(context.content)
    if media_type == MAIL:
        return _mail_text(mail.MailReader(context.content), facts)
    head = context.content.read(HEAD_BYTES)
    context.content.seek(0)
    declared = html.charset_in(head) if media_type in HTML else None
    encoding = _usable(declared) or _encoding_of(context.content, head)
    facts["encoding"] = encoding
    blocks = _decoded(context.content, encoding)
    return html.text_of(blocks) if media_type in HTML else blocks


def _mail_text(message: mail.MailReader, facts: Output) -> Iterator[str]:
    """Yield the headers that people read, and the texts: HTML only where there is no plain one."""
    headers = message.headers()
    for name in ("From", "To", "Cc", "Date", "Subject"):
        if value := headers.get(name):
            text = mail.decoded(str(value)).replace("\r", "").replace("\n", "")[:MAX_HEADER_CHARS]
            facts[name.lower()] = text
            yield f"{name}: {text}\n"
    yield "\n"
    plain = False
    for entry in message.parts_after(headers):
        if entry.open is None or entry.declared not in ("text/plain", "text/html"):
            continue
        if entry.declared == "text/html" and plain:
            continue
        plain = plain or entry.declared == "text/plain"
        body = io.BufferedReader(_Raw(entry.open()), BLOCK)
        head = body.peek(HEAD_BYTES)
        encoding = _usable(entry.charset) or encoding_of(head)
        blocks = _decoded(body, encoding)
        yield from html.text_of(blocks) if entry.declared == "text/html" else blocks
        yield "\n"


class _Raw(io.RawIOBase):
    """A reader as the standard library's buffers want it."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _decoded(content: BinaryIO, encoding: str) -> Iterator[str]:
    for text in decode(content, encoding, block_bytes=BLOCK):
        yield text.replace(UNDECODABLE, "\ufffd")


def _usable(charset: str | None) -> str | None:
    """Return the codec of a declared charset, if it is one of text; UTF-16 cannot be declared."""
    try:
        info = codecs.lookup(charset or "")
    except (LookupError, ValueError):
        return None
    is_text = info._is_text_encoding
    return info.name if is_text and not info.name.startswith(("utf-16", "utf-32", "idna")) else None


def _encoding_of(content: BinaryIO, head: bytes) -> str:
    """Return the encoding: what marks and UTF-8 tell, else the best guess over the first bytes."""
    encoding = choose_encoding(content, "auto")
    if encoding != "cp1252":
        return encoding
    best = from_bytes(head[:GUESS_BYTES]).best()
    return _usable(best.encoding if best else None) or encoding


step = Step(
    "document_text",
    run,
    title="Text",
    media_types=(*OFFICE, *HTML, *RTF, MAIL, *OTHER_TEXTS),
    limits=Limits(wall_s=300, cpu_s=240, memory_bytes=768 * MIB),
    settings_schema=SCHEMA,
)
