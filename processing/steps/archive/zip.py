"""ZIP, by its central directory, each entry held against its local header.

Source: APPNOTE.TXT 6.3.10, 4.3 to 4.5.
"""

import lzma
import stat
import struct
import zlib
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from processing.steps.archive.entries import FILE, FOLDER, LINK, SPECIAL, Entry
from processing.steps.archive.limits import MAX_WINDOW_BYTES, Damaged, Unsupported, refusal
from processing.steps.archive.streams import (
    Decompressor,
    Reader,
    Unpacked,
    Window,
    bzip2_stream,
    raw_deflate,
    read_fully,
    xz_stream,
    zstd_frame,
)

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END_64, LOCATOR_64 = b"PK\x06\x06", b"PK\x06\x07"
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
END_RECORD = struct.Struct("<4s4H2IH")
END_RECORD_64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")

STORED, DEFLATED, BZIP2, LZMA, ZSTD, XZ = 0, 8, 12, 14, 93, 95
ENCRYPTED, LANGUAGE, SIZES_FOLLOW = 0x0001, 0x0800, 0x0008
AES = 99
ZIP64_EXTRA = 0x0001
PAGE, MAX_PAGES = 64 * 1024, 8
UNKNOWN_16, UNKNOWN_32 = 0xFFFF, 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the central directory."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def path(self) -> str:
        """Return the name as text: UTF-8 where it is that, else the code page of DOS."""
        try:
            return self.name.decode("utf-8")
        except UnicodeDecodeError:
            return self.name.decode("cp437")

    @property
    def kind(self) -> str:
        """Return what the member is. Its mode counts whatever system is said to have made it."""
        if stat.S_ISLNK(self.mode):
            return LINK
        if self.name.endswith((b"/", b"\\")) or stat.S_ISDIR(self.mode):
            return FOLDER
        return FILE if stat.S_IFMT(self.mode) in (0, stat.S_IFREG) else SPECIAL

    @property
    def is_encrypted(self) -> bool:
        """Tell whether its content is encrypted, by either of two ways."""
        return bool(self.flags & ENCRYPTED) or self.method == AES


@dataclass(frozen=True)
class Directory:
    """Where the central directory stands, and how far all offsets are shifted."""

    start: int
    end: int
    shift: int
    count: int


class ZipReader:
    """The members of a ZIP in a seekable file of `size` bytes.

    Raises:
        Damaged: there is no central directory.
    """

    def __init__(self, content: BinaryIO | Window, size: int) -> None:
        self._content = content
        self._size = size
        self._pages: dict[int, bytes] = {}
        self._directory = self._find_directory()
        self._taken: list[tuple[int, int]] = []  # where members stand, sorted

    def records(self) -> Iterator[Record]:
        """Yield the central directory, line by line; it is not held.

        Raises:
            Damaged: a line is none, or the number of lines is not what the end says.
        """
        at, end = self._directory.start, self._directory.end
        count = 0
        while at < end:
            header = self._at(at, CENTRAL_HEADER.size)
            if len(header) < CENTRAL_HEADER.size or not header.startswith(CENTRAL):
                raise Damaged
            record, length = self._record(at, header)
            yield record
            at += length
            count += 1
        if at != end or count % 0x1_0000 != self._directory.count % 0x1_0000:
            raise Damaged

    def entries(self) -> Iterator[Entry]:
        """Yield the members with their flags.

        Raises:
            StepFailed: `archive_overlap`
        """
        for record in self.records():
            entry = Entry(record.path, record.kind, record.size)
            if record.is_encrypted:
                entry.flags.append("encrypted")
            try:
                start = self._start_of(record)
            except Damaged:
                entry.flags.append("damaged")
                yield entry
                continue
            if start is None:
                entry.flags.append("mismatch")
                start = self._data_start(record)
            self._take(record.offset, start + record.packed)
            if "mismatch" not in entry.flags and record.kind == FILE and not record.is_encrypted:
                entry.open = self._opener(record, start)
                if record.method == STORED and record.size == record.packed:
                    entry.window = self._window(start, record.packed)
            yield entry

    def open(self, record: Record) -> Reader:
        """Return a reader of one member.

        Raises:
            Damaged, Unsupported
        """
        start = self._start_of(record)
        if start is None:
            raise Damaged
        return self._opener(record, start)()

    def _find_directory(self) -> Directory:
        tail_start = max(0, self._size - END_RECORD.size - 0xFFFF)
        tail = self._at(tail_start, self._size - tail_start)
        found = tail.rfind(END)
        while found >= 0:
            if found + END_RECORD.size <= len(tail):
                directory = self._directory_at(tail_start + found, tail[found:])
                if directory is not None:
                    return directory
            found = tail.rfind(END, 0, found)
        raise Damaged

    def _directory_at(self, at: int, tail: bytes) -> Directory | None:
        _, _, _, _, count, size, offset, _ = END_RECORD.unpack_from(tail)
        end = at
        if UNKNOWN_32 in (size, offset) or count == UNKNOWN_16:
            locator = self._at(at - LOCATOR.size, LOCATOR.size) if at >= LOCATOR.size else b""
            if locator.startswith(LOCATOR_64):
                end = LOCATOR.unpack(locator)[2]
                record = self._at(end, END_RECORD_64.size)
                if not record.startswith(END_64):  # something stands before the ZIP
                    end = at - LOCATOR.size - END_RECORD_64.size
                    record = self._at(end, END_RECORD_64.size) if end >= 0 else b""
                if len(record) < END_RECORD_64.size or not record.startswith(END_64):
                    return None
                _, _, _, _, _, _, _, count, size, offset = END_RECORD_64.unpack(record)
        start = end - size
        if start < 0 or offset > start:
            return None
        if count and self._at(start, 4) != CENTRAL:
            return None
        return Directory(start, end, start - offset, count)

    def _record(self, at: int, header: bytes) -> tuple[Record, int]:
        fields = CENTRAL_HEADER.unpack(header)
        flags, method, crc, packed, size = fields[3], fields[4], *fields[7:10]
        name_size, extra_size, comment_size = fields[10:13]
        attributes, offset = fields[15], fields[16]
        name = self._at(at + CENTRAL_HEADER.size, name_size)
        if UNKNOWN_32 in (packed, size, offset):
            extra = self._at(at + CENTRAL_HEADER.size + name_size, extra_size)
            size, packed, offset = _wide(extra, [size, packed, offset])
        length = CENTRAL_HEADER.size + name_size + extra_size + comment_size
        mode = attributes >> 16
        offset += self._directory.shift
        return Record(name, flags, method, crc, packed, size, offset, mode), length

    def _data_start(self, record: Record) -> int:
        header = self._at(record.offset, LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(LOCAL):
            raise Damaged
        fields = LOCAL_HEADER.unpack(header)
        return int(record.offset + LOCAL_HEADER.size + fields[9] + fields[10])

    def _start_of(self, record: Record) -> int | None:
        """Return where the data begins; None where the local header tells another story.

        Raises:
            Damaged: there is no local header, or no room for the data.
        """
        start = self._data_start(record)
        if start + record.packed > self._directory.start:
            raise Damaged
        header = self._at(record.offset, start - record.offset)
        fields = LOCAL_HEADER.unpack_from(header)
        flags, method, crc, packed, size = fields[2], fields[3], *fields[6:9]
        name = header[LOCAL_HEADER.size : LOCAL_HEADER.size + fields[9]]
        same = name == record.name and method == record.method
        same = same and (flags ^ record.flags) & ENCRYPTED == 0
        if not flags & SIZES_FOLLOW:
            extra = header[LOCAL_HEADER.size + fields[9] :]
            if UNKNOWN_32 in (packed, size):
                size, packed = _wide(extra, [size, packed])
            same = same and (crc, packed, size) == (record.crc, record.packed, record.size)
        return start if same else None

    def _take(self, start: int, end: int) -> None:
        at = bisect(self._taken, (start, end))
        before = self._taken[at - 1][1] if at else 0
        after = self._taken[at][0] if at < len(self._taken) else self._directory.start
        if start < before or end > after:
            raise refusal("archive_overlap")
        self._taken.insert(at, (start, end))

    def _opener(self, record: Record, start: int) -> Callable[[], Reader]:
        def open_it() -> Reader:
            packed = self._window(start, record.packed)
            if record.method == STORED:
                return Checked(packed, record)
            new, packed = _decompressor(record.method, packed)
            return Checked(Unpacked(packed, new, again=False), record)

        return open_it

    def _window(self, start: int, size: int) -> Window:
        return Window(self._content, start, size)  # type: ignore[arg-type]

    def _at(self, offset: int, size: int) -> bytes:
        """Return a few bytes by pages: records and local headers stand far from each other."""
        if size > PAGE:
            self._content.seek(offset)
            return read_fully(self._content, size)
        first, last = offset // PAGE, (offset + size) // PAGE
        data = b"".join(self._page(number) for number in range(first, last + 1))
        return data[offset - first * PAGE :][:size]

    def _page(self, number: int) -> bytes:
        page = self._pages.pop(number, None)
        if page is None:
            self._content.seek(number * PAGE)
            page = read_fully(self._content, PAGE)
            if len(self._pages) == MAX_PAGES:
                del self._pages[next(iter(self._pages))]
        self._pages[number] = page  # now the last to go
        return page


class Checked:
    """A member's content, which must have the size and the checksum that its record says."""

    def __init__(self, inner: Reader, record: Record) -> None:
        self._inner = inner
        self._record = record
        self._crc = 0
        self._size = 0

    def read(self, size: int, /) -> bytes:
        at_end = self._size == self._record.size and self._record.method == LZMA  # may not say so
        data = b"" if at_end else self._inner.read(size)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        if self._size > self._record.size:
            raise Damaged
        if not data and (self._size, self._crc) != (self._record.size, self._record.crc):
            raise Damaged
        return data


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """Return `values` with those that did not fit 32 bits taken from the ZIP64 field."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == ZIP64_EXTRA:
            field = extra[at + 4 : at + 4 + size]
            wide = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            try:
                return [next(wide) if value == UNKNOWN_32 else value for value in values]
            except (StopIteration, RuntimeError):
                raise Damaged from None
        at += 4 + size
    return values


def _decompressor(method: int, packed: Window) -> tuple[Callable[[], Decompressor], Window]:
    if method == DEFLATED:
        return raw_deflate, packed
    if method == BZIP2:
        return bzip2_stream, packed
    if method == XZ:
        return xz_stream, packed
    if method == ZSTD:
        return zstd_frame, packed
    if method != LZMA:
        raise Unsupported
    head = read_fully(packed, 9)
    if len(head) < 9 or head[2:4] != b"\x05\x00":
        raise Damaged
    properties, dictionary = struct.unpack("<BI", head[4:])
    if dictionary > MAX_WINDOW_BYTES or properties >= 225:
        raise Unsupported
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    options = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options]), packed
