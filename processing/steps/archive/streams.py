"""Readers over readers: a window of a file, a decompressed stream, lines. Memory is bounded."""

import bz2
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from processing.steps.archive.limits import MAX_STREAMS, MAX_WINDOW_BYTES, Damaged, refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = 64 * 1024
# What decompressors raise over bytes that are not theirs.
FAILURES = (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zstd.ZstdError)


class Reader(Protocol):
    """Bytes from front to back: at most `size` at once, none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Decompressor(Protocol):
    """What `bz2` and `lzma` give; `Inflater` makes `zlib` look the same."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflater:
    """DEFLATE as raw data, or in a gzip member."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        content = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        full = len(content) == max_length
        self.needs_input = not full and not self._inner.unconsumed_tail
        return content


def raw_deflate() -> Decompressor:
    """Return what reads a ZIP member by DEFLATE."""
    return Inflater(-zlib.MAX_WBITS)


def gzip_member() -> Decompressor:
    """Return what reads one gzip member, its checksum included."""
    return Inflater(16 + zlib.MAX_WBITS)


def xz_stream() -> Decompressor:
    """Return what reads one stream of XZ, or of the LZMA program before it."""
    return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=2 * MAX_WINDOW_BYTES)


def zstd_frame() -> Decompressor:
    """Return what reads one frame of Zstandard."""
    parameter = int(zstd.DecompressionParameter.window_log_max)
    return zstd.ZstdDecompressor(options={parameter: MAX_WINDOW_BYTES.bit_length() - 1})


def bzip2_stream() -> Decompressor:
    """Return what reads one stream of bzip2."""
    return bz2.BZ2Decompressor()


class Unpacked:
    """What `packed` decompresses to; with `again`, streams in a row are one.

    `trailing` says that something follows which is none of these streams.

    Raises:
        Damaged: by `read`, at the first byte that does not decompress, or a missing end.
    """

    def __init__(
        self, packed: Reader, new: Callable[[], Decompressor], *, again: bool = True
    ) -> None:
        self._packed = packed
        self._new = new
        self._again = again
        self._inner = new()
        self._waiting = b""
        self._streams = 1
        self._over = False
        self.trailing = False

    def read(self, size: int, /) -> bytes:
        while not self._over:
            if self._inner.eof:
                self._go_on()
                continue
            data = self._waiting
            if not data and self._inner.needs_input:
                data = self._packed.read(BLOCK)
                if not data:
                    raise Damaged
            self._waiting = b""
            try:
                content = self._inner.decompress(data, size)
            except FAILURES:
                if self._streams > 1 and self._fresh:
                    self._over = self.trailing = True
                    return b""
                raise Damaged from None
            if content:
                self._fresh = False
                return content
        return b""

    _fresh = True  # the current stream gave nothing yet

    def _go_on(self) -> None:
        """Begin the next stream, past zeros, which tapes and XZ put in between."""
        rest = self._inner.unused_data
        if not self._again:
            self._over = True
            self.trailing = bool(rest) or bool(self._packed.read(1))
            return
        rest = rest.lstrip(b"\0")
        while not rest and (more := self._packed.read(BLOCK)):
            rest = more.lstrip(b"\0")
        self._over = not rest
        if rest:
            self._streams += 1
            if self._streams > MAX_STREAMS:
                raise refusal("archive_members")
            self._inner = self._new()
            self._waiting = rest
            self._fresh = True


class Window:
    """A part of a seekable file as a seekable file of its own."""

    def __init__(self, content: BinaryIO, start: int, size: int) -> None:
        self._content = content
        self._start = start
        self.size = size
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self.size - self._at)
        size = left if size < 0 else min(size, left)
        if not size:
            return b""
        self._content.seek(self._start + self._at)
        data = self._content.read(size)
        self._at += len(data)
        return data


class Rest:
    """`head`, which was read already, and then the rest of `reader`."""

    def __init__(self, head: bytes, reader: Reader) -> None:
        self._head = head
        self._reader = reader

    def read(self, size: int, /) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._reader.read(size)


def read_fully(reader: Reader, size: int) -> bytes:
    """Return `size` bytes, or fewer where the content ends."""
    pieces = []
    while size and (piece := reader.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def lines_of(reader: Reader, max_bytes: int = BLOCK) -> Iterator[bytes]:
    """Yield the lines, with their ends; a line above `max_bytes` comes in pieces."""
    rest = b""
    while block := reader.read(BLOCK):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield from (line + b"\n" for line in lines)
        if len(rest) > max_bytes:
            yield rest
            rest = b""
    if rest:
        yield rest
