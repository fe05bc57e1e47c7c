"""7z and RAR, by the system's libarchive, where that is installed: member by member, in memory.

Nothing of the library is used but its readers of these two formats: it never makes a file. What
it unpacks is asked for in pieces, and counted like everything else. It is called directly, since
its Python wrapper cannot tell what is encrypted.

Source: archive.h and archive_entry.h of libarchive 3.
"""

import ctypes
import locale
import os
import stat
import zlib
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO

from processing.steps.archive.entries import FILE, FOLDER, LINK, SPECIAL, Entry
from processing.steps.archive.limits import Damaged, ReaderMissing, Unsupported, refusal
from processing.steps.archive.streams import BLOCK, Window, read_fully

LIBRARY = "libarchive.so.13"  # since libarchive 3.0
FORMATS = {"7z": ("7zip",), "rar": ("rar", "rar5")}
END, WARNING, FATAL = 1, -20, -30

_READ = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
)
_SEEK = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
)


def is_installed() -> bool:
    """Tell whether 7z and RAR can be read on this machine."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    # Names in the C locale are ASCII; others would be lost.
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    for name in ("read_new", "entry_pathname_utf8", "entry_hardlink_utf8", "error_string"):
        getattr(library, f"archive_{name}").restype = ctypes.c_void_p
    library.archive_entry_size.restype = ctypes.c_int64
    library.archive_read_data.restype = ctypes.c_ssize_t
    return library


def entries(kind: str, content: BinaryIO | Window) -> Iterator[Entry]:
    """Yield the members; each is to be read before the next one is asked for.

    Raises:
        Damaged, Unsupported, ReaderMissing
        StepFailed: `archive_encrypted`, where even the names are.
    """
    library = _library()
    if library is None:
        raise ReaderMissing
    if kind == "7z":
        _check_start(content)
    archive = _Archive(library, content)
    try:
        archive.open(kind)
        while (entry := archive.next()) is not None:
            yield entry
    finally:
        archive.close()


def _check_start(content: BinaryIO | Window) -> None:
    """Refuse a 7z that lies in its first bytes, which the library takes for an empty one."""
    content.seek(0)
    head = read_fully(content, 32)
    if len(head) < 32 or zlib.crc32(head[12:]) != int.from_bytes(head[8:12], "little"):
        raise Damaged


class _Archive:
    """An archive that the library reads through `content`."""

    def __init__(self, library: ctypes.CDLL, content: BinaryIO | Window) -> None:
        self._library = library
        self._content = content
        self._block = ctypes.create_string_buffer(BLOCK)
        self._error: BaseException | None = None  # of `content`: no exception passes the library
        self._read_more, self._go_to = _READ(self._read), _SEEK(self._seek)
        self._archive = ctypes.c_void_p(library.archive_read_new())
        self._entry = ctypes.c_void_p()
        self._member = 0
        self._described: Entry | None = None

    def open(self, kind: str) -> None:
        """Find the first member."""
        for name in FORMATS[kind]:
            getattr(self._library, f"archive_read_support_format_{name}")(self._archive)
        self._library.archive_read_set_seek_callback(self._archive, self._go_to)
        self._content.seek(0)
        self._check(
            self._library.archive_read_open(self._archive, None, None, self._read_more, None)
        )

    def next(self) -> Entry | None:
        """Go to the next member; None after the last one."""
        self._member += 1
        answer = self._library.archive_read_next_header(self._archive, ctypes.byref(self._entry))
        if answer == END:
            self._raise_error()
            return None
        if answer < WARNING and (
            self._library.archive_read_has_encrypted_entries(self._archive) > 0
            or b"ncrypt" in self._complaint()
        ):
            raise refusal("archive_encrypted")
        self._check(answer)
        self._described = self._describe()
        return self._described

    def read(self, member: int, size: int) -> bytes:
        """Return the next bytes of the current member.

        Raises:
            Damaged, Unsupported
        """
        if member != self._member or self._described is None:
            raise Damaged  # it was left before its end
        buffer = ctypes.create_string_buffer(min(size, BLOCK))
        count = self._library.archive_read_data(self._archive, buffer, ctypes.c_size_t(len(buffer)))
        self._raise_error()
        if count >= 0:
            return buffer.raw[:count]
        if b"ncrypt" in self._complaint():  # RAR 5 says so only now
            self._described.flags.append("encrypted")
            return b""
        raise self._failure()  # also what is a warning to the library: a wrong checksum

    def close(self) -> None:
        """Give back what the library holds."""
        self._library.archive_read_free(self._archive)

    def _describe(self) -> Entry:
        library, entry = self._library, self._entry
        raw = library.archive_entry_pathname_utf8(entry)
        path = ctypes.string_at(raw).decode("utf-8", "surrogateescape") if raw else ""
        mode = library.archive_entry_filetype(entry)
        kind = FILE if stat.S_ISREG(mode) else SPECIAL
        if stat.S_ISLNK(mode) or library.archive_entry_hardlink_utf8(entry):
            kind = LINK
        elif stat.S_ISDIR(mode):
            kind = FOLDER
        has_size = library.archive_entry_size_is_set(entry)
        described = Entry(path, kind, library.archive_entry_size(entry) if has_size else None)
        if library.archive_entry_is_encrypted(entry):
            described.flags.append("encrypted")
        elif kind == FILE:
            described.open = lambda member=self._member: _Content(self, member)
        if library.archive_entry_mode(entry) & (stat.S_ISUID | stat.S_ISGID):
            described.flags.append("setuid")
        return described

    def _check(self, answer: int) -> None:
        self._raise_error()
        if answer < WARNING:
            raise self._failure()

    def _failure(self) -> Damaged | Unsupported:
        said = self._complaint()
        return Unsupported() if b"upport" in said or b"nknown codec" in said else Damaged()

    def _complaint(self) -> bytes:
        raw = self._library.archive_error_string(self._archive)
        return ctypes.string_at(raw) if raw else b""

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self, _: int, __: int, place: "ctypes._Pointer[ctypes.c_void_p]") -> int:
        try:
            data = self._content.read(BLOCK)
        except BaseException as error:  # noqa: BLE001 - raised once the library has returned
            self._error = error
            return FATAL
        ctypes.memmove(self._block, data, len(data))
        place[0] = ctypes.cast(self._block, ctypes.c_void_p)
        return len(data)

    def _seek(self, _: int, __: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_SET and offset < 0:
            return FATAL
        try:
            return self._content.seek(offset, whence)
        except ValueError:  # to before the beginning, as the archive said
            return FATAL
        except BaseException as error:  # noqa: BLE001 - as above
            self._error = error
            return FATAL


class _Content:
    """The bytes of one member."""

    def __init__(self, archive: _Archive, member: int) -> None:
        self._archive = archive
        self._member = member

    def read(self, size: int, /) -> bytes:
        return self._archive.read(self._member, size)
