"""TAR from front to back: ustar, GNU and PAX. Members with holes are refused.

Only the standard library's reading of a single header is used: what follows from headers, sizes
and holes is decided here. Source: POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format".
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from processing.steps.archive.entries import FILE, FOLDER, LINK, SPECIAL, Entry
from processing.steps.archive.limits import MAX_NAME_BYTES, Damaged, refusal
from processing.steps.archive.streams import BLOCK, Reader, read_fully

RECORD = tarfile.BLOCKSIZE
MAX_EXTENSION_BYTES = 1024 * 1024
MAX_EXTENSIONS = 64  # in a row, before a member
LONG_NAME, LONG_LINK, SPARSE = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"S"
PAX, PAX_GLOBAL, PAX_SOLARIS = tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE
EXTENSIONS = (LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL, PAX_SOLARIS)
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)


def looks_like_tar(head: bytes) -> bool:
    """Tell whether `head` begins with a header whose checksum is right."""
    try:
        tarfile.TarInfo.frombuf(head[:RECORD], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@dataclass
class Extensions:
    """What was said ahead about the next member, and for all that follow."""

    path: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        return self.values.get(key, self.shared.get(key))


class Body:
    """The bytes of one member; what is not read by its user is skipped."""

    def __init__(self, reader: Reader, size: int) -> None:
        self._reader = reader
        self._left = size
        self._padding = -size % RECORD

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return b""
        data = self._reader.read(min(size, self._left))
        if not data:
            raise Damaged
        self._left -= len(data)
        return data

    def skip(self) -> None:
        while self.read(BLOCK):
            pass
        if len(read_fully(self._reader, self._padding)) < self._padding:
            raise Damaged


def entries(reader: Reader) -> Iterator[Entry]:
    """Yield the members; each is to be read before the next one is asked for.

    Raises:
        Damaged: a header is none, or the end is missing.
        StepFailed: `archive_sparse`
    """
    ahead = Extensions()
    in_a_row = 0
    while (info := _header(reader)) is not None:
        if info.type in EXTENSIONS:
            in_a_row += 1
            _extend(ahead, info, reader)
            if in_a_row > MAX_EXTENSIONS:
                raise Damaged
            continue
        in_a_row = 0
        entry, body = _member(info, ahead, reader)
        ahead = Extensions(shared=ahead.shared)
        yield entry
        body.skip()


def _header(reader: Reader) -> tarfile.TarInfo | None:
    block = read_fully(reader, RECORD)
    if not block.strip(b"\0"):  # the end; some programs leave its block of zeros out
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        raise Damaged from None


def _extend(ahead: Extensions, info: tarfile.TarInfo, reader: Reader) -> None:
    if not 0 <= info.size <= MAX_EXTENSION_BYTES:
        raise Damaged
    body = Body(reader, info.size)
    data = read_fully(body, info.size)
    body.skip()
    if info.type == LONG_NAME:
        if len(data) > MAX_NAME_BYTES:
            raise Damaged
        ahead.path = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
    elif info.type == PAX_GLOBAL:
        ahead.shared.update(_pax(data))
    elif info.type != LONG_LINK:
        ahead.values.update(_pax(data))


def _pax(data: bytes) -> dict[str, str]:
    """Return the records that matter here."""
    found: dict[str, str] = {}
    while data.strip(b"\0"):
        digits, space, _ = data.partition(b" ")
        length = int(digits) if space and digits.isdigit() and len(digits) < 9 else 0
        record = data[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or length > len(data):
            raise Damaged
        name = key.decode("utf-8", "replace")
        if name in ("path", "size") or name.startswith("GNU.sparse."):
            found[name] = value[:-1][:MAX_NAME_BYTES].decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def _member(info: tarfile.TarInfo, ahead: Extensions, reader: Reader) -> tuple[Entry, Body]:
    sparse = (*ahead.values, *ahead.shared)
    if info.type == SPARSE or any(key.startswith("GNU.sparse.") for key in sparse):
        raise refusal("archive_sparse")
    size = info.size
    if (told := ahead.value("size")) is not None:
        if not told.isdigit() or len(told) > 15:
            raise Damaged
        size = int(told)
    if size < 0:
        raise Damaged
    path = ahead.value("path") or ahead.path or info.name
    if info.type in LINKS or info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        size = 0  # whatever is said
    kind = FILE
    if info.type in LINKS:
        kind = LINK
    elif info.type == tarfile.DIRTYPE or path.endswith("/"):
        kind = FOLDER
    elif info.type not in FILES:
        kind = SPECIAL
    body = Body(reader, size)
    entry = Entry(path, kind, size, open=(lambda: body) if kind == FILE else None)
    if info.mode & 0o6000:
        entry.flags.append("setuid")
    return entry, body
