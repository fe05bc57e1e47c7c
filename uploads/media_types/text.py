"""Text: in which encoding, and whether it is a table or JSON."""

import codecs
import csv
import io
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024  # of a file; what is beyond is not looked at

# Byte order mark -> codec, longest first. Source: Unicode 15, 23.8.
BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Table:
    """How a text reads as a table: `share` of its `rows` have exactly `columns` fields."""

    delimiter: str
    columns: int
    rows: int
    share: float
    header_fits: bool  # the first row has as many fields


def encoding_of(head: bytes) -> str:
    """Return the Python codec that reads a text that starts with `head`.

    A byte order mark decides; then zeros at every second place (UTF-16 without a mark); then
    whether more of its non-ASCII bytes make sense as UTF-8 than not, else `cp1252`.
    """
    head = head[:HEAD_BYTES]
    for mark, codec in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return codec
    pairs = len(head) // 2
    if pairs and head[1 : 2 * pairs : 2].count(0) > 0.4 * pairs:
        return "utf-16-le"
    if pairs and head[0 : 2 * pairs : 2].count(0) > 0.4 * pairs:
        return "utf-16-be"
    if head.isascii():  # nothing to weigh
        return "utf-8"
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(head, final=len(head) < HEAD_BYTES)  # a head may end inside a character
    strange = len(re.findall(r"[\udc80-\udcff]", text))
    sensible = len(re.findall(r"[^\x00-\x7f\udc80-\udcff]", text))
    return "cp1252" if strange > sensible else "utf-8"


def table_in(text: str) -> Table | None:
    """Return the most convincing reading of `text` as a table with two columns or more.

    `text` should end with a whole line. The first 200 rows count.
    """
    marks = (mark for mark in ",;\t|" if mark in text)  # without it, every row has one column
    tables = [table for mark in marks if (table := _read_as_table(text, mark))]
    return max(tables, key=lambda table: (table.share, table.columns), default=None)


def _read_as_table(text: str, delimiter: str) -> Table | None:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        widths = [len(row) for row in itertools.islice(reader, 200) if row]
    except csv.Error:
        return None
    usual = Counter(widths).most_common(1)
    if not usual or usual[0][0] < 2:
        return None
    columns, rows = usual[0]
    return Table(delimiter, columns, len(widths), rows / len(widths), widths[0] == columns)


def shape_of_text(head: bytes, answer: str) -> str:
    """Tell JSON and tables from other text; libmagic's own verdict on tables does not count.

    It sees a table in a log with a comma in every time stamp.
    """
    whole = len(head) < HEAD_BYTES
    text = head.decode(encoding_of(head), "replace")
    if shape := _json_shape(text, whole=whole):
        return shape
    if not whole:
        text = text[: text.rfind("\n") + 1]
    table = table_in(text)
    if table is None or not _is_convincing(table, text):
        return "text/plain" if answer == "text/csv" else answer
    return "text/tab-separated-values" if table.delimiter == "\t" else "text/csv"


_LOG_TIME = re.compile(r":\d\d,\d{3}\b")  # a decimal comma in the seconds, as log4j writes it


def _is_convincing(table: Table, text: str) -> bool:
    if table.delimiter == "|" or table.rows < 2 or not table.header_fits:
        return False
    if table.share < (0.9 if table.columns > 2 else 1.0):
        return False
    if table.delimiter != "," or table.columns > 2:
        return True
    prose = text.count(", ") + text.count(",\n") == text.count(",")
    return not prose and len(_LOG_TIME.findall(text)) < table.rows


# Numbers stay text: a number of a million digits is valid JSON, and slow to convert.
_JSON = json.JSONDecoder(parse_int=str, parse_float=str)


def _json_shape(text: str, *, whole: bool) -> str | None:
    """Return the media type of JSON, or of JSON lines. A lone string or number is plain text."""
    text = text.strip("\ufeff \t\r\n")
    if not text.startswith(("{", "[")):
        return None
    try:
        _, end = _JSON.raw_decode(text)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated string") or error.pos >= len(text) - len("false")
        return "application/json" if cut and not whole else None
    except RecursionError:  # deeper than any reader goes
        return None
    rest = text[end:].lstrip(" \t\r")
    if not rest:
        return "application/json"
    lines_follow = rest.startswith("\n") and rest.lstrip().startswith(("{", "["))
    return "application/x-ndjson" if lines_follow else None


_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def is_readable(head: bytes) -> bool:
    """Tell whether all of `head` is UTF-8 with hardly a control character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return "\0" not in text and len(_CONTROL.findall(text)) <= len(text) / 100


def is_json(head: bytes) -> bool:
    """Tell whether a short text is JSON, be it a lone string or number."""
    try:
        _JSON.decode(head.decode(encoding_of(head)))
    except (ValueError, RecursionError):
        return False
    return len(head) < HEAD_BYTES
