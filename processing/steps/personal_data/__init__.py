"""Personal data in texts and documents: where it stands, masked; and a copy without it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from processing.steps import document_text, pdf_text
from processing.steps.archive.limits import Damaged
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.document_text.errors import DocumentDamaged, DocumentEncrypted
from processing.steps.document_text.sink import Full, TextSink
from processing.steps.personal_data.patterns import KINDS, MAX_CHARS, Finding, find, masked
from processing.steps.text import (
    PLAIN_TEXTS,
    REPLACEMENT,
    UNDECODABLE,
    choose_encoding,
    decode,
)

MAX_NAMED = 200
BLOCK = 64 * 1024

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "kinds": {
            "type": "array",
            "items": {"enum": list(KINDS)},
            "minItems": 1,
            "uniqueItems": True,
            "default": list(KINDS),
        },
        "redact": {"type": "boolean", "default": True},
        "max_named": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_NAMED,
            "default": 50,
        },
    },
}


def run(context: StepContext) -> Output:
    """Return counts by kind and the first places; the copy is the artifact `redacted.txt`.

    Raises:
        StepFailed: those of `document_text` and `pdf_text`, for documents of their kinds.
    """
    settings: Any = context.settings
    kinds = frozenset(settings.get("kinds", KINDS))
    scan = Scan(kinds, settings.get("max_named", 50))
    try:
        for _ in scan.pieces(text_of(context)):
            pass
        copied = None
        if scan.counts and settings.get("redact", True):
            copied = _redacted_copy(context, kinds)
    except (DocumentDamaged, Damaged):
        raise StepFailed("document_damaged", "The document is damaged.") from None
    except DocumentEncrypted:
        raise StepFailed("document_encrypted", "The document is encrypted.") from None
    return {
        "found": sum(scan.counts.values()),
        "counts": {kind: scan.counts[kind] for kind in KINDS if kind in kinds},
        "first": scan.named,
        "characters": scan.characters,
        "redacted": copied is not None,
        "redacted_complete": copied,
    }


class Scan:
    """One pass over a text that arrives in blocks: what is found is counted and the first named."""

    def __init__(self, kinds: frozenset[str], max_named: int) -> None:
        self._kinds = kinds
        self._max_named = max_named
        self.counts: Counter[str] = Counter()
        self.named: list[JSON] = []
        self.characters = 0
        self._line = 1

    def pieces(self, blocks: Iterator[str]) -> Iterator[str]:
        """Yield the text with what was found replaced by its kind."""
        rest = ""
        for block in blocks:
            rest += block
            if len(rest) > BLOCK:
                yield from self._take(rest, last=False)
                rest = rest[self._taken :]
        yield from self._take(rest, last=True)

    _taken = 0

    def _take(self, text: str, *, last: bool) -> Iterator[str]:
        """Take all but the end of `text`, where something may begin that goes on."""
        end = len(text) if last else len(text) - MAX_CHARS
        at = 0
        for finding in find(text, self._kinds):
            if finding.start >= end:
                break
            self._note(finding, text)
            yield text[at : finding.start]
            yield f"[{finding.kind}]"
            at = finding.end
        self._taken = max(at, end)
        yield text[at : self._taken]
        self._line += text.count("\n", 0, self._taken)
        self.characters += self._taken

    def _note(self, finding: Finding, text: str) -> None:
        self.counts[finding.kind] += 1
        if len(self.named) < self._max_named:
            self.named.append(
                {
                    "kind": finding.kind,
                    "line": self._line + text.count("\n", 0, finding.start),
                    "offset": self.characters + finding.start,
                    "length": finding.end - finding.start,
                    "masked": masked(finding.kind, text[finding.start : finding.end]),
                }
            )


def _redacted_copy(context: StepContext, kinds: frozenset[str]) -> bool:
    """Write the copy; False: it ends early, for its size."""
    context.content.seek(0)
    sink = TextSink(context, name="redacted.txt")
    try:
        for piece in Scan(kinds, 0).pieces(text_of(context)):
            sink.add(piece)
    except Full:
        pass
    sink.close()
    return not sink.is_cut


def text_of(context: StepContext) -> Iterator[str]:
    """Return the text of a text, a PDF or a document, piece by piece.

    Raises:
        StepFailed, DocumentDamaged, DocumentEncrypted, Damaged: with the pieces, or before.
    """
    if pdf_text.step.reads(context.media_type):
        return pdf_text.text_of(context)
    if document_text.step.reads(context.media_type):
        return document_text.text_of(context, {})
    encoding = choose_encoding(context.content, "auto")
    blocks = decode(context.content, encoding, block_bytes=BLOCK)
    return (block.replace(UNDECODABLE, REPLACEMENT) for block in blocks)


step = Step(
    "personal_data",
    run,
    title="Personal data",
    media_types=(
        *document_text.step.media_types,
        *pdf_text.step.media_types,
        "text/*",
        "application/json",
        "application/x-ndjson",
        "application/xml",
    ),
    limits=Limits(wall_s=1800, cpu_s=1800, memory_bytes=1024 * MIB),
    settings_schema=SCHEMA,
    shares_child=PLAIN_TEXTS,
)
