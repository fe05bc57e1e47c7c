"""What a file is, told from its first bytes: libmagic first, then a look inside. Pure.

libmagic is a hint, not a verdict: it names macro documents like their harmless twins, and takes
some tables, JSON and office files for plain text or for nothing. Those are decided here.
"""

import codecs
import csv
import ctypes
import importlib.util
import io
import itertools
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from config.ranges import RangeSource

HEAD_BYTES = 64 * 1024  # of a file; what is beyond is not looked at

# What libmagic says -> the registered name. Source: IANA media types registry. Only where people
# declare the registered name, or where the other one would be read as text.
REGISTERED_NAMES = {
    "application/x-dosexec": "application/vnd.microsoft.portable-executable",
    "application/x-rar": "application/vnd.rar",
    "application/x-shockwave-flash": "application/vnd.adobe.flash.movie",
    "audio/x-m4a": "audio/mp4",
    "text/rtf": "application/rtf",
    "video/x-msvideo": "video/vnd.avi",
}

# Byte order mark -> codec, longest first. Source: Unicode 15, 23.8.
BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

# Names in the directory of an OLE file, UTF-16. Source: [MS-DOC] 2.1, [MS-XLS] 2.1, [MS-PPT] 2.1,
# [MS-OXMSG] 2.2.
OLE_STREAMS = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
OLE_ANSWERS = ("application/x-ole-storage", "application/cdfv2", "application/vnd.ms-office")

# First folder of the main part -> media type. Source: ECMA-376 part 1, annex A.
_OOXML = "application/vnd.openxmlformats-officedocument."
OFFICE_FOLDERS = (
    ("word", _OOXML + "wordprocessingml.document"),
    ("xl", _OOXML + "spreadsheetml.sheet"),
    ("ppt", _OOXML + "presentationml.presentation"),
)
WITH_MACROS = {
    _OOXML + "wordprocessingml.document": "application/vnd.ms-word.document.macroenabled.12",
    _OOXML + "spreadsheetml.sheet": "application/vnd.ms-excel.sheet.macroenabled.12",
    _OOXML + "presentationml.presentation": (
        "application/vnd.ms-powerpoint.presentation.macroenabled.12"
    ),
}
# What a ZIP may call itself in its member `mimetype`; a picture it may not.
# Source: OpenDocument 1.3 part 2, 3.3; EPUB OCF 3.3, 4.3.
_PACKAGE = re.compile(rb"application/(?:vnd\.oasis\.opendocument\.[a-z-]+|epub\+zip)")
# `application/vnd.ms-excel.sheet.macroEnabled.main+xml` and its kin, for every office program.
_MAIN_PART = re.compile(
    rb'ContentType\s*=\s*["\'](application/vnd\.(?:openxmlformats-officedocument|ms-(?:word|excel|'
    rb'powerpoint|visio))\.[\w.-]+?)\.main(?:\+xml)?["\']'
)

MAX_INFLATED = 4 * 1024 * 1024  # of all members together, while walking a ZIP head


def _load_libmagic() -> tuple[ModuleType, str | None]:
    """Return python-magic and the database it must use (None: the system's own).

    The system's library is preferred because the distribution patches it. `pylibmagic` is not
    imported, since that patches `ctypes` for the whole process: its library is loaded by path,
    and python-magic then finds it by its name.
    """
    try:
        import magic  # noqa: PLC0415 - importing it is what fails
    except ImportError:
        spec = importlib.util.find_spec("pylibmagic")
        if spec is None or not spec.submodule_search_locations:
            raise
        folder = Path(spec.submodule_search_locations[0])
        ctypes.CDLL(str(folder / "libmagic.so.1"), mode=ctypes.RTLD_GLOBAL)
        import magic  # noqa: PLC0415

        return magic, str(folder / "magic.mgc")
    return magic, None


class _LibMagic:
    """Three questions to libmagic. Its databases are read once, here.

    A sandboxed process may open no file: it must inherit them already loaded.
    """

    def __init__(self) -> None:
        magic, database = _load_libmagic()
        self.media_type = magic.Magic(mime=True, magic_file=database).from_buffer
        self.encoding = magic.Magic(mime_encoding=True, magic_file=database).from_buffer
        self.description = magic.Magic(magic_file=database).from_buffer
        self.failure: type[Exception] = magic.MagicException

    def ask(self, question: Any, head: bytes, otherwise: str) -> str:
        try:
            return str(question(head))
        except self.failure:  # a rule gave up on this content
            return otherwise


_MAGIC = _LibMagic()


@dataclass(frozen=True)
class Table:
    """How a text reads as a table: `share` of its `rows` have exactly `columns` fields."""

    delimiter: str
    columns: int
    rows: int
    share: float
    header_fits: bool  # the first row has as many fields


def detect(head: bytes) -> str:
    """Return the media type of the file that starts with `head`, in lower case.

    Never fails: `application/octet-stream` is the answer where nothing fits.
    """
    head = head[:HEAD_BYTES]
    answer = _MAGIC.ask(_MAGIC.media_type, head, "application/octet-stream").lower()
    if head.startswith(b"PK\x03\x04"):
        return _inside_zip(head) or answer
    if head.startswith(b"PAR1"):  # Source: Apache Parquet, file format
        return "application/vnd.apache.parquet"
    if head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64]:
        return "video/webm"
    if answer in OLE_ANSWERS:
        return _inside_ole(head) or answer
    if answer in ("text/plain", "text/csv", "application/json", "application/x-ndjson"):
        return _shape_of_text(head, answer)
    return REGISTERED_NAMES.get(answer, answer)


def describe(head: bytes) -> str:
    """Return libmagic's description in words; it may quote the file."""
    return _MAGIC.ask(_MAGIC.description, head[:HEAD_BYTES], "data")


def declared_encoding(head: bytes) -> str:
    """Return libmagic's name of the character encoding, `binary` for what is not text."""
    return _MAGIC.ask(_MAGIC.encoding, head[:HEAD_BYTES], "binary")


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
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(head, final=len(head) < HEAD_BYTES)  # a head may end inside a character
    strange = len(re.findall(r"[\udc80-\udcff]", text))
    sensible = len(re.findall(r"[^\x00-\x7f\udc80-\udcff]", text))
    return "cp1252" if strange > sensible else "utf-8"


def table_in(text: str) -> Table | None:
    """Return the most convincing reading of `text` as a table with two columns or more.

    `text` should end with a whole line. The first 200 rows count.
    """
    tables = [table for mark in ",;\t|" if (table := _read_as_table(text, mark))]
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


def _shape_of_text(head: bytes, answer: str) -> str:
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


def _inside_ole(head: bytes) -> str | None:
    for name, media_type in OLE_STREAMS:
        if (name + "\0").encode("utf-16-le") in head:
            return media_type
    return None


def _inside_zip(head: bytes) -> str | None:
    """Return what the members in the head say this ZIP is; None: no more than a ZIP."""
    names: list[str] = []
    answer = None
    for name, content in _members(head):
        names.append(name)
        if name == "mimetype" and _PACKAGE.fullmatch(content.strip()):
            return content.strip().decode("ascii")
        if name == "[content_types].xml":
            answer = _office_type(content)
    if answer is None:
        tops = {name.partition("/")[0] for name in names if "/" in name}
        answer = next((kind for folder, kind in OFFICE_FOLDERS if folder in tops), None)
    if any(name.endswith("vbaproject.bin") for name in names):
        answer = WITH_MACROS.get(answer or "", answer)
    if answer is None and "androidmanifest.xml" in names:
        return "application/vnd.android.package-archive"
    return answer


def _office_type(content_types: bytes) -> str | None:
    found: list[str] = [name.decode("ascii").lower() for name in _MAIN_PART.findall(content_types)]
    for name in found:
        if ".macroenabled" in name:  # one macro part is enough, whatever else is listed
            return name[: name.index(".macroenabled")] + ".macroenabled.12"
    return found[0] if found else None


def _members(head: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the lower-case names of the members in a ZIP head, and what could be inflated.

    Walks the local headers, so that a ZIP stored inside a ZIP is not mistaken for its outside.
    Source: APPNOTE 6.3.10, 4.3.7.
    """
    at = 0
    budget = MAX_INFLATED
    while head.startswith(b"PK\x03\x04", at) and at + 30 <= len(head):
        flags, method, size, name_size, extra_size = struct.unpack_from("<6xHH8xI4xHH", head, at)
        start = at + 30 + name_size + extra_size
        name = head[at + 30 : at + 30 + name_size].decode("utf-8", "replace").lower()
        size_follows = bool(flags & 0x08)
        packed = head[start:] if size_follows else head[start : start + size]
        content, used = _inflate(packed, budget) if method == 8 else (packed, size)
        budget -= len(content)
        yield name, content
        if budget <= 0 or used < 0 or (size_follows and method != 8):
            return
        at = start + used
        if size_follows:
            at = head.find(b"PK\x03\x04", at, at + 24)
            if at < 0:
                return


def _inflate(packed: bytes, limit: int) -> tuple[bytes, int]:
    """Return what `packed` unpacks to, and its packed size (-1: its end is not in sight)."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(packed, limit)
    except zlib.error:
        return b"", -1
    return content, len(packed) - len(stream.unused_data) if stream.eof else -1


@dataclass(frozen=True)
class Inspection:
    """What a whole file is, and why it is not simply fine: codes of findings."""

    media_type: str
    findings: tuple[str, ...] = ()


def possible_types(media_type: str, *, name: str) -> tuple[str, ...]:  # noqa: ARG001
    """Return what a file may turn out to be that looks like `media_type` at its head."""
    return (media_type,)


def inspect(source: RangeSource, *, name: str, declared_type: str) -> Inspection:  # noqa: ARG001
    """Look at a whole file, by ranges."""
    return Inspection(detect(source.read_at(0, HEAD_BYTES)))
