"""ZIP containers: the members at the head while they arrive, and the directory at the end.

Source: APPNOTE 6.3.10, 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from config.ranges import RangeSource

MAGIC = b"PK\x03\x04"
EMPTY = b"PK\x05\x06"
MAX_INFLATED = 4 * 1024 * 1024  # of all members together that are looked at
MAX_DIRECTORY = 8 * 1024 * 1024
MAX_ENTRIES = 65_536
TAIL_BYTES = 65_535 + 22 + 20  # the longest comment, the record, the locator of ZIP64
BIG = 0xFFFFFFFF  # of a 32-bit field: the value stands in a ZIP64 field
_ENCRYPTED = 0x01

# First folder of the main part -> media type. Source: ECMA-376 part 1, annex A.
_OOXML = "application/vnd.openxmlformats-officedocument."
OFFICE_FOLDERS = (
    ("word", _OOXML + "wordprocessingml.document"),
    ("xl", _OOXML + "spreadsheetml.sheet"),
    ("ppt", _OOXML + "presentationml.presentation"),
)
WITH_MACROS = {
    _OOXML + "wordprocessingml.document": "application/vnd.ms-word.document.macroenabled.12",
    _OOXML + "wordprocessingml.template": "application/vnd.ms-word.template.macroenabled.12",
    _OOXML + "spreadsheetml.sheet": "application/vnd.ms-excel.sheet.macroenabled.12",
    _OOXML + "spreadsheetml.template": "application/vnd.ms-excel.template.macroenabled.12",
    _OOXML + "presentationml.presentation": (
        "application/vnd.ms-powerpoint.presentation.macroenabled.12"
    ),
    _OOXML + "presentationml.slideshow": "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
}
# What a ZIP may call itself in its member `mimetype`; a picture it may not.
# Source: OpenDocument 1.3 part 2, 3.3; EPUB OCF 3.3, 4.3.
_PACKAGE = re.compile(rb"application/(?:vnd\.oasis\.opendocument\.[a-z-]+|epub\+zip)")
# `application/vnd.ms-excel.sheet.macroEnabled.main+xml` and its kin, for every office program.
_MAIN_PART = re.compile(
    rb'ContentType\s*=\s*["\'](application/vnd\.(?:openxmlformats-officedocument|ms-(?:word|excel|'
    rb'powerpoint|visio))\.[\w.-]+?)\.main(?:\+xml)?["\']',
    re.IGNORECASE,
)
_XPS = re.compile(rb"application/vnd\.ms-package\.xps-fixeddocumentsequence\+xml", re.IGNORECASE)
_VBA = re.compile(r"(?:^|/)vbaproject[^/]*\.bin$|(?:^|/)macrosheets/")
_VBA_TYPE = re.compile(rb"application/vnd\.ms-office\.vbaproject", re.IGNORECASE)
_OPEN_MACROS = re.compile(r"^(?:basic|scripts)/")
_REMOTE = re.compile(
    rb'<Relationship\b(?=[^<>]*TargetMode\s*=\s*["\']External["\'])'
    rb'(?=[^<>]*(?:attachedTemplate|oleObject|frame|subDocument|externalLinkPath)["\'])',
    re.IGNORECASE,
)
_EMBEDDED = re.compile(r"/embeddings/[^/]*\.(?:bin|exe|dll|scr|js|vbs|bat|cmd|ps1|jar|hta)$")


@dataclass
class Members:
    """What is known of the members: their names in lower case, and a few of their contents."""

    names: list[str] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    encrypted: bool = False
    damaged: bool = False


@dataclass(frozen=True)
class _Entry:
    """A line of the directory."""

    name: str
    flags: int
    method: int
    packed: int
    offset: int


def media_type_of(members: Members) -> str | None:  # noqa: PLR0911 - the first that fits
    """Return what the members say this ZIP is; None: no more than a ZIP."""
    names, contents = members.names, members.contents
    claim = contents.get("mimetype", b"").strip()
    if _PACKAGE.fullmatch(claim):
        return claim.decode("ascii")
    types = contents.get("[content_types].xml", b"")
    answer = _office_type(types)
    if answer is None and _XPS.search(types):
        return "application/vnd.ms-xpsdocument"
    if answer is None:
        tops = {name.partition("/")[0] for name in names if "/" in name}
        answer = next((kind for folder, kind in OFFICE_FOLDERS if folder in tops), None)
    if answer is not None:
        return WITH_MACROS.get(answer, answer) if has_macros(members) else answer
    known = set(names)
    if "androidmanifest.xml" in known:
        return "application/vnd.android.package-archive"
    if "meta-inf/manifest.mf" in known:
        return "application/java-archive"
    if any(name.endswith(".kml") and "/" not in name for name in names):
        return "application/vnd.google-earth.kmz"
    return None


def has_macros(members: Members) -> bool:
    """Tell whether there is a macro part, under whatever name."""
    types = members.contents.get("[content_types].xml", b"")
    if _VBA_TYPE.search(types) and not any("vnd.oasis" in name for name in members.names):
        return True
    is_open = "content.xml" in members.names and "mimetype" in members.names
    return any(_VBA.search(name) for name in members.names) or (
        is_open and any(_OPEN_MACROS.match(name) for name in members.names)
    )


def fetches(members: Members) -> bool:
    """Tell whether a reader of this office file would fetch something by itself."""
    return any(
        _REMOTE.search(content)
        for name, content in members.contents.items()
        if name.endswith(".rels")
    )


def carries_files(members: Members) -> bool:
    """Tell whether an office file carries another one that is no part of it."""
    return any(_EMBEDDED.search("/" + name) for name in members.names)


def _office_type(content_types: bytes) -> str | None:
    found: list[str] = [name.decode("ascii").lower() for name in _MAIN_PART.findall(content_types)]
    for name in found:
        if ".macroenabled" in name:  # one macro part is enough, whatever else is listed
            return name[: name.index(".macroenabled")] + ".macroenabled.12"
    return found[0] if found else None


def _is_worth_reading(name: str) -> bool:
    return name in ("mimetype", "[content_types].xml") or name.endswith(".rels")


# --- The head, while the rest is still on its way ----------------------------------------------


def members_in_head(head: bytes) -> Members:
    """Return the members whose local headers lie in the head.

    Local headers are walked one after the other, so that a ZIP stored inside a ZIP is not
    mistaken for its outside.
    """
    members = Members()
    for name, flags, content in _walk(head):
        members.names.append(name)
        members.encrypted = members.encrypted or bool(flags & _ENCRYPTED)
        if _is_worth_reading(name):
            members.contents.setdefault(name, content)
    return members


def _walk(head: bytes) -> Iterator[tuple[str, int, bytes]]:
    at = 0
    budget = MAX_INFLATED
    while head.startswith(MAGIC, at) and at + 30 <= len(head):
        flags, method, size, name_size, extra_size = struct.unpack_from("<6xHH8xI4xHH", head, at)
        start = at + 30 + name_size + extra_size
        name = head[at + 30 : at + 30 + name_size].decode("utf-8", "surrogateescape").lower()
        size_follows = bool(flags & 0x08)
        packed = head[start:] if size_follows else head[start : start + size]
        content, used = inflate(packed, budget) if method == 8 else (packed, size)
        budget -= len(content)
        yield name, flags, content
        if budget <= 0 or used < 0 or (size_follows and method != 8):
            return
        at = start + used
        if size_follows:
            at = head.find(MAGIC, at, at + 24)
            if at < 0:
                return


def inflate(packed: bytes, limit: int) -> tuple[bytes, int]:
    """Return what `packed` unpacks to, and its packed size (-1: its end is not in sight)."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(packed, limit)
    except zlib.error:
        return b"", -1
    return content, len(packed) - len(stream.unused_data) if stream.eof else -1


# --- The whole file ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Directory:
    """Where the directory lies, and how far the whole archive is shifted in its file."""

    offset: int
    size: int
    shift: int


def find_directory(source: RangeSource) -> Directory | None:
    """Return the directory of an archive that ends with the file; None: there is none."""
    start = max(0, source.size - TAIL_BYTES)
    tail = source.read_at(start, TAIL_BYTES)
    at = tail.rfind(EMPTY)
    while at >= 0:
        if at + 22 <= len(tail):
            size, offset, comment = struct.unpack_from("<12xIIH", tail, at)
            end = start + at
            if at + 22 + comment == len(tail):
                if BIG in (size, offset):
                    return _big_directory(source, tail, at, start)
                shift = end - size - offset
                if shift >= 0 and _begins(source, offset + shift, size):
                    return Directory(offset + shift, size, shift)
        at = tail.rfind(EMPTY, 0, at)
    return None


def _big_directory(source: RangeSource, tail: bytes, at: int, start: int) -> Directory | None:
    if at < 20 or not tail.startswith(b"PK\x06\x07", at - 20):
        return None
    record_at = struct.unpack_from("<8xQ", tail, at - 20)[0]
    record = source.read_at(record_at, 56) if record_at < source.size else b""
    if len(record) < 56 or not record.startswith(b"PK\x06\x06"):
        return None
    size, offset = struct.unpack_from("<40xQQ", record)
    return Directory(offset, size, 0) if offset + size <= start + at else None


def _begins(source: RangeSource, offset: int, size: int) -> bool:
    return size == 0 or source.read_at(offset, 4) == b"PK\x01\x02"


def members_of(source: RangeSource, directory: Directory) -> Members:
    """Return the members that the directory lists; few of them are looked into."""
    members = Members()
    budget = MAX_INFLATED
    seen: set[str] = set()
    for entry in _entries(source, directory):
        members.names.append(entry.name.lower())
        members.encrypted = members.encrypted or bool(entry.flags & _ENCRYPTED)
        members.damaged = members.damaged or entry.name in seen
        seen.add(entry.name)
        name = entry.name.lower()
        if _is_worth_reading(name) and budget > 0 and name not in members.contents:
            content = _read(source, entry, directory.shift, budget)
            if content is None:
                members.damaged = True
            else:
                budget -= len(content) + 1024
                members.contents[name] = content
    return members


def _entries(source: RangeSource, directory: Directory) -> Iterator[_Entry]:
    raw = source.read_at(directory.offset, min(directory.size, MAX_DIRECTORY))
    at = 0
    for _ in range(MAX_ENTRIES):
        if not raw.startswith(b"PK\x01\x02", at) or at + 46 > len(raw):
            return
        flags, method, packed, name_size, extra_size, comment_size, offset = struct.unpack_from(
            "<8xHH8xI4xHHH8xI", raw, at
        )
        name = raw[at + 46 : at + 46 + name_size].decode("utf-8", "surrogateescape")
        extra = raw[at + 46 + name_size : at + 46 + name_size + extra_size]
        if BIG in (packed, offset):
            unpacked = struct.unpack_from("<24xI", raw, at)[0]
            packed, offset = _big_fields(extra, unpacked, packed, offset)
        yield _Entry(name, flags, method, packed, offset)
        at += 46 + name_size + extra_size + comment_size


def _big_fields(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int]:
    """Return packed size and offset from the ZIP64 field, which holds only what is too big."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = iter(
                struct.unpack_from(f"<{min(size, len(extra) - at - 4) // 8}Q", extra, at + 4)
            )
            if unpacked == BIG:
                next(values, 0)
            packed = next(values, 0) if packed == BIG else packed
            return packed, next(values, 0) if offset == BIG else offset
        at += 4 + size
    return packed, offset


def _read(source: RangeSource, entry: _Entry, shift: int, limit: int) -> bytes | None:
    """Return the content of a member; None where its local header tells another story."""
    header = source.read_at(entry.offset + shift, 30)
    if len(header) < 30 or not header.startswith(MAGIC):
        return None
    name_size, extra_size = struct.unpack_from("<26xHH", header)
    start = entry.offset + shift + 30
    name = source.read_at(start, name_size).decode("utf-8", "surrogateescape")
    if name != entry.name:
        return None
    packed = source.read_at(start + name_size + extra_size, min(entry.packed, MAX_INFLATED))
    if entry.flags & _ENCRYPTED:
        return b""
    if entry.method == 8:
        return inflate(packed, limit)[0]
    return packed[:limit] if entry.method == 0 else b""
