"""The text of office files: OOXML and OpenDocument, part by part, as streams.

Source: ECMA-376 part 1, 17.3 (runs), 18.3 (cells), 21.1.2 (text of drawings); OpenDocument 1.3
part 3, 5.1 and 6.1.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from processing.steps.archive.limits import ArchiveLimits, Budget, Damaged, Unsupported
from processing.steps.archive.walk import Metered
from processing.steps.archive.zip import Record, ZipReader
from processing.steps.contract import MIB
from processing.steps.document_text.errors import DocumentDamaged, DocumentEncrypted
from processing.steps.markup import BadMarkup, Event, Reader, events
from processing.steps.sheets import Workbook, text_of

LIMITS = ArchiveLimits(max_bytes=1024 * MIB, max_members=20_000)
MAX_SPACES = 1000
MAX_FACT_CHARS = 500

# Parts with text, in the order of reading; numbers in names count as numbers.
WORD_PARTS = re.compile(
    r"word/(?:document\d*|(?:header|footer)\d*|footnotes|endnotes|comments)\.xml", re.IGNORECASE
)
SLIDE_PARTS = re.compile(
    r"ppt/(?:slides/slide|notesSlides/notesSlide|comments/comment)\d+\.xml", re.IGNORECASE
)
# Element -> what it stands for, at its start and at its end.
STARTS = {"tab": "\t", "br": "\n", "cr": "\n", "line-break": "\n", "noBreakHyphen": "-"}
ENDS = {"p": "\n", "h": "\n", "tc": "\t", "tr": "\n", "table-cell": "\t", "table-row": "\n"}
FACTS = {
    "title": "title", "subject": "subject", "creator": "author", "initial-creator": "author",
    "keywords": "keywords", "keyword": "keywords", "created": "created", "creation-date": "created",
    "modified": "modified", "date": "modified", "lastModifiedBy": "last_modified_by",
}  # fmt: skip


class Package:
    """The parts of an office file, read under one budget."""

    def __init__(self, content: BinaryIO, size: int) -> None:
        self._budget = Budget(LIMITS, size)
        try:
            self._zip = ZipReader(content, size)
            self._parts: dict[str, Record] = {}
            for record in self._zip.records():
                self._budget.take_member()
                self._parts[record.path.replace("\\", "/").lstrip("/").lower()] = record
        except Damaged:
            raise DocumentDamaged from None

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        """Return the names of the parts that `pattern` fits, in the order of their numbers."""
        fitting = (name for name in self._parts if pattern.fullmatch(name))
        return sorted(fitting, key=_place)

    def has(self, name: str) -> bool:
        return name in self._parts

    def open(self, name: str) -> Reader:
        """Return a reader of a part.

        Raises:
            DocumentDamaged, DocumentEncrypted
        """
        record = self._parts.get(name)
        if record is None:
            raise DocumentDamaged
        if record.is_encrypted:
            raise DocumentEncrypted
        try:
            return Metered(self._zip.open(record), self._budget)
        except (Damaged, Unsupported):
            raise DocumentDamaged from None

    def events(self, name: str) -> Iterator[Event]:
        """Yield what is in an XML part.

        Raises:
            DocumentDamaged, DocumentEncrypted
        """
        try:
            yield from events(self.open(name))
        except (BadMarkup, Damaged):
            raise DocumentDamaged from None


def _place(name: str) -> tuple[int, str]:
    return len(name), name  # of names alike but for their number, 10 comes after 9


def word_text(package: Package) -> Iterator[str]:
    """Yield the text of a Word document: its body first, then what stands around it."""
    names = package.names(WORD_PARTS)
    bodies = [name for name in names if name.startswith("word/document")]
    if not bodies:
        raise DocumentDamaged
    for name in bodies + [name for name in names if name not in bodies]:
        yield from _runs(package.events(name))


def slides_text(package: Package) -> Iterator[str]:
    """Yield the text of a presentation, a form feed after each slide, and then its notes."""
    names = package.names(SLIDE_PARTS)
    if not names and not package.has("ppt/presentation.xml"):
        raise DocumentDamaged
    for name in sorted(names, key=lambda name: not name.startswith("ppt/slides/")):
        yield from _runs(package.events(name))
        yield "\f"


def sheets_text(package: Package) -> Iterator[str]:
    """Yield the cells of a workbook, a tab between them, a line for each row."""
    workbook = Workbook(package.open, package.has)
    for sheet in workbook.sheets:
        yield sheet.name + "\n"
        for _, cells in workbook.rows(sheet):
            yield "\t".join(text_of(cell) for _, cell in cells) + "\n"
        yield "\f"


def open_document_text(package: Package) -> Iterator[str]:
    """Yield the text of an OpenDocument file of any kind.

    Raises:
        DocumentEncrypted: its manifest says so.
    """
    if package.has("meta-inf/manifest.xml") and any(
        event.name == "encryption-data" for event in package.events("meta-inf/manifest.xml")
    ):
        raise DocumentEncrypted
    inside = 0
    for event in package.events("content.xml"):
        kind, name, attributes = event
        if kind == "text":
            if inside:
                yield name
        elif kind == "start":
            inside += name in ("p", "h")
            if name == "s":
                count = attributes.get("c", "1")
                yield " " * min(int(count) if count.isdigit() and len(count) < 5 else 1, MAX_SPACES)
            elif name in STARTS:
                yield STARTS[name]
            elif name == "page":
                yield "\f"
        else:
            inside -= name in ("p", "h")
            yield ENDS.get(name, "")


def facts_of(package: Package) -> dict[str, str]:
    """Return what the document says about itself; a damaged part says nothing."""
    found: dict[str, str] = {}
    for part in ("docprops/core.xml", "meta.xml"):
        if not package.has(part):
            continue
        name = ""
        try:
            for event in package.events(part):
                if event.kind == "text" and name:
                    found[name] = (found.get(name, "") + event.name)[:MAX_FACT_CHARS]
                elif event.kind == "start":
                    name = FACTS.get(event.name, "")
                    if found.get(name):
                        name = ""
                else:
                    name = ""
        except DocumentDamaged:
            continue
    return {key: value.strip() for key, value in found.items() if value.strip()}


def _runs(stream: Iterator[Event]) -> Iterator[str]:
    """Yield the text of runs (`t`), with what ends paragraphs, cells and rows."""
    inside = False
    for kind, name, _ in stream:
        if kind == "text":
            if inside:
                yield name
        elif kind == "start":
            inside = name == "t"
            if name in STARTS:
                yield STARTS[name]
        else:
            if name == "t":
                inside = False
            yield ENDS.get(name, "")
