"""Which archive a file is, by its first bytes; and its members, whatever it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from processing.steps.archive import libarchive, mail, tar
from processing.steps.archive.entries import Entry
from processing.steps.archive.limits import Damaged, Unsupported
from processing.steps.archive.streams import (
    BLOCK,
    Decompressor,
    Reader,
    Rest,
    Unpacked,
    Window,
    bzip2_stream,
    gzip_member,
    read_fully,
    xz_stream,
    zstd_frame,
)
from processing.steps.archive.zip import ZipReader

# Signature -> format. Source: APPNOTE 4.3.7; RFC 1952, 2.3.1; the formats' own specifications.
SIGNATURES = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x06\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"]\0\0", "lzma"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
)
STREAMS: dict[str, Callable[[], Decompressor]] = {
    "gzip": gzip_member,
    "bzip2": bzip2_stream,
    "xz": xz_stream,
    "lzma": xz_stream,
    "zstd": zstd_frame,
}
# What is not told by first bytes, or could be something else.
BY_MEDIA_TYPE = {
    "application/zip": "zip",
    "application/java-archive": "zip",
    "application/vnd.android.package-archive": "zip",
    "application/epub+zip": "zip",
    "application/x-tar": "tar",
    "application/gzip": "gzip",
    "application/x-gzip": "gzip",
    "application/x-bzip2": "bzip2",
    "application/x-xz": "xz",
    "application/x-lzma": "lzma",
    "application/zstd": "zstd",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "message/rfc822": "mail",
    "application/mbox": "mbox",
}


@dataclass(frozen=True)
class Source:
    """Content to find members in: read from the front, or seekable with a known size."""

    reader: Reader
    seekable: BinaryIO | Window | None = None
    size: int = 0


def format_of(head: bytes, media_type: str) -> str | None:
    """Return the format of what begins with `head` and was called `media_type`; None: no archive.

    The media type counts more where both say something, since a picture may begin like anything.
    """
    named = BY_MEDIA_TYPE.get(media_type)
    if named in ("mail", "mbox"):
        return named
    may_be_tar = named == "tar" or media_type == "application/octet-stream"
    if may_be_tar and tar.looks_like_tar(head):
        return "tar"
    signed = next((kind for mark, kind in SIGNATURES if head.startswith(mark)), None)
    return (signed or named) if named else None


def entries(kind: str, source: Source, buffer: Callable[[Reader], Source]) -> Iterator[Entry]:
    """Yield the members of an archive of this kind.

    `buffer` makes a source seekable.

    Raises:
        Damaged, Unsupported: at once or between members.
        StepFailed: a limit.
    """
    if kind == "zip" or kind in libarchive.FORMATS:
        if source.seekable is None:
            source = buffer(source.reader)
        assert source.seekable is not None  # noqa: S101 - what a buffer is for
        if kind == "zip":
            yield from ZipReader(source.seekable, source.size).entries()
        else:
            yield from libarchive.entries(kind, source.seekable)
    elif kind == "tar":
        yield from tar.entries(source.reader)
    elif kind == "mail":
        yield from mail.MailReader(source.reader).parts()
    elif kind == "mbox":
        yield from mail.mbox_entries(source.reader)
    elif kind in STREAMS:
        yield from _stream(kind, source.reader)
    else:
        raise Unsupported


def _stream(kind: str, reader: Reader) -> Iterator[Entry]:
    """Yield what is compressed; a TAR in it is taken for one archive with it."""
    head = read_fully(reader, 1024)
    unpacked = Unpacked(Rest(head, reader), STREAMS[kind])
    try:
        begin = read_fully(unpacked, tar.RECORD)
    except Damaged:  # which its reader will meet again
        begin = b""
    content = Rest(begin, unpacked)
    if len(begin) == tar.RECORD and any(begin) and tar.looks_like_tar(begin):
        yield from tar.entries(content)
        while content.read(BLOCK):  # to the end, for its checksum
            pass
        return
    entry = Entry(_gzip_name(head) if kind == "gzip" else "content")
    entry.open = lambda: _Noted(content, unpacked, entry.flags)
    yield entry


class _Noted:
    """A decompressed stream, which notes at its end what stands after it."""

    def __init__(self, content: Reader, unpacked: Unpacked, flags: list[str]) -> None:
        self._content = content
        self._unpacked = unpacked
        self._flags = flags

    def read(self, size: int, /) -> bytes:
        data = self._content.read(size)
        if not data and self._unpacked.trailing and "trailing_data" not in self._flags:
            self._flags.append("trailing_data")
        return data


def _gzip_name(head: bytes) -> str:
    """Return the name in a gzip header. Source: RFC 1952, 2.3."""
    at = 10
    flags = head[3] if len(head) > at else 0
    if flags & 0x04:  # an extra field
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    end = head.find(b"\0", at)
    return head[at:end].decode("latin-1") if flags & 0x08 and end > at else "content"


__all__ = ["Damaged", "Source", "entries", "format_of"]
