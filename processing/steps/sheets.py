"""The rows of an XLSX workbook as a stream: no sheet is ever held.

Source: ECMA-376 part 1, 18.2 (workbook), 18.3.1.4 (cells), 18.4 (shared strings), 18.8.30
(formats of numbers), 18.17.4 (dates).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from processing.steps.archive.limits import Damaged
from processing.steps.contract import StepFailed
from processing.steps.markup import BadMarkup, Event, Reader, events

MAX_SHARED_CHARS = 64_000_000
MAX_SHARED = 4_000_000
MAX_SHEETS = 1_000
MAX_CELL_CHARS = 32_767
MAX_COLUMN = 16_384
# Formats of dates that need no entry of their own.
DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_IN_DATE = re.compile(r"[dmyhs]", re.IGNORECASE)
_NO_FORMAT = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{0,7})")
Cell = str | float | bool | datetime
Row = tuple[int, list[tuple[int, Cell]]]


def _failed(code: str, detail: str) -> StepFailed:
    return StepFailed(code, detail)


@dataclass(frozen=True)
class Sheet:
    """A sheet by its name and its part."""

    name: str
    part: str


class Workbook:
    """What is needed to read the rows of any sheet: strings and formats, both bounded.

    Raises:
        StepFailed: `sheet_damaged`, `sheet_too_large`
    """

    def __init__(self, open_part: Callable[[str], Reader], has: Callable[[str], bool]) -> None:
        self._open = open_part
        self._has = has
        self._since_1904 = False
        self.sheets = self._sheets()
        self._strings = self._shared_strings()
        self._dates = self._date_styles()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the number of each row that has cells, and its cells with their columns from 0."""
        row = 0
        column = -1
        cells: list[tuple[int, Cell]] = []
        for event, name, attributes in self._events(sheet.part):
            if event == "start" and name == "row":
                row, column, cells = _number(attributes.get("r"), row + 1), -1, []
            elif event == "end" and name == "row" and cells:
                yield row, cells
            elif event == "start" and name == "c":
                column = _column(attributes.get("r", ""), column + 1)
                cell = _OpenCell(attributes.get("t", "n"), attributes.get("s", ""))
            elif event == "end" and name == "c":
                if (value := self._value(cell.kind, cell.style, cell.text)) != "":
                    cells.append((column, value))
            elif column >= 0:
                cell.take(event, name)

    def _value(self, kind: str, style: str, text: str) -> Cell:
        if kind == "s":
            return self._strings[int(text)] if _is_index(text, len(self._strings)) else ""
        if kind == "b":
            return text == "1"
        if kind != "n" or not text:
            return text
        try:
            number = float(text)
        except ValueError:
            return text
        return self._date(number) if style in self._dates else number

    def _date(self, days: float) -> Cell:
        start = datetime(1904, 1, 1) if self._since_1904 else datetime(1899, 12, 30)  # noqa: DTZ001
        try:
            moment = start + timedelta(days=days)
        except (OverflowError, ValueError):
            return days
        return moment + timedelta(milliseconds=500) if moment.microsecond > 999_000 else moment

    def _sheets(self) -> list[Sheet]:
        targets: dict[str, str] = {}
        for event in self._events("xl/_rels/workbook.xml.rels"):
            if event.kind == "start" and event.name == "Relationship":
                target = event.attributes.get("Target", "").replace("\\", "/").lower()
                part = target[1:] if target.startswith("/") else f"xl/{target}"
                targets[event.attributes.get("Id", "")] = part
        found: list[Sheet] = []
        for event in self._events("xl/workbook.xml"):
            if event.kind != "start":
                continue
            if event.name == "workbookPr":
                self._since_1904 = event.attributes.get("date1904") in ("1", "true")
            elif event.name == "sheet" and len(found) < MAX_SHEETS:
                part = targets.get(event.attributes.get("id", ""), "")
                if self._has(part):
                    found.append(Sheet(event.attributes.get("name", "")[:255], part))
        return found

    def _shared_strings(self) -> list[str]:
        strings: list[str] = []
        if not self._has("xl/sharedstrings.xml"):
            return strings
        size = 0
        pieces: list[str] = []
        collecting = phonetic = False
        for event, name, _ in self._events("xl/sharedstrings.xml"):
            if event == "text":
                if collecting:
                    pieces.append(name)
                    size += len(name)
            elif event == "start":
                phonetic = phonetic or name == "rPh"
                collecting = name == "t" and not phonetic
            elif name == "si":
                strings.append("".join(pieces)[:MAX_CELL_CHARS])
                pieces.clear()
            elif name == "rPh":
                phonetic = False
            else:
                collecting = False
            if size > MAX_SHARED_CHARS or len(strings) > MAX_SHARED:
                raise _failed("sheet_too_large", "The workbook has more text than can be held.")
        return strings

    def _date_styles(self) -> frozenset[str]:
        if not self._has("xl/styles.xml"):
            return frozenset()
        dates = set(DATE_FORMATS)
        found = set()
        in_cells = False
        style = 0
        for event, name, attributes in self._events("xl/styles.xml"):
            if event == "start" and name == "numFmt" and _is_date(attributes):
                dates.add(_number(attributes.get("numFmtId"), -1))
            elif name == "cellXfs":
                in_cells = event == "start"
            elif event == "start" and name == "xf" and in_cells:
                if _number(attributes.get("numFmtId"), 0) in dates:
                    found.add(str(style))
                style += 1
        return frozenset(found)

    def _events(self, part: str) -> Iterator[Event]:
        if not self._has(part):
            raise _failed("sheet_damaged", "The workbook is damaged, or is none.")
        try:
            yield from events(self._open(part))
        except (BadMarkup, Damaged):
            raise _failed("sheet_damaged", "The workbook is damaged, or is none.") from None


class _OpenCell:
    """A cell of which only the beginning was read."""

    def __init__(self, kind: str, style: str) -> None:
        self.kind = kind
        self.style = style
        self.text = ""
        self._inside = False

    def take(self, event: str, name: str) -> None:
        if event == "text":
            if self._inside:
                self.text = (self.text + name)[:MAX_CELL_CHARS]
        elif name in ("v", "t"):
            self._inside = event == "start"


def text_of(cell: Cell) -> str:
    """Return a cell as people read it; whole numbers without a point."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return str(cell)


def _is_date(attributes: Mapping[str, str]) -> bool:
    return bool(_IN_DATE.search(_NO_FORMAT.sub("", attributes.get("formatCode", ""))))


def _is_index(text: str, count: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _column(reference: str, otherwise: int) -> int:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return min(otherwise, MAX_COLUMN - 1)
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return min(number, MAX_COLUMN) - 1
