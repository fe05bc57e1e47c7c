"""Images without their metadata, whose pixels are copied as they are: never decoded.

Only what a picture needs to be shown is kept; anything else, known or not, is left out.

Source: ISO/IEC 10918-1, annex B (JPEG); PNG third edition, 5.3 and 11; RFC 9649 (WebP).
"""

import struct
from collections.abc import Callable, Iterator

MAX_BYTES = 64 * 1024 * 1024


class Unstrippable(Exception):
    """The file is not built as its format says."""


# JPEG: what decoding needs. APP0 may have JFIF's density, APP2 a colour profile, APP14 Adobe's
# transform; each of them also carries other things, which are not needed.
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_NEEDED = frozenset(range(0xC0, 0xE0)) - {_SOI, _EOI}
_NEEDED_BEGINNINGS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_NEEDED = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB bKGD pHYs sPLT cICP mDCV cLLI acTL fcTL"
    b" fdAT".split()
)
WEBP_NEEDED = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_WEBP_EXIF_AND_XMP = 0x08 | 0x04


def without_metadata(kind: str, data: bytes, *, orientation: int) -> Iterator[bytes]:
    """Yield the pieces of an image without metadata; a JPEG keeps how it is to be turned.

    Raises:
        Unstrippable
    """
    return STRIPPERS[kind](data, orientation)


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    if not data.startswith(b"\xff\xd8"):
        raise Unstrippable
    yield data[:2]
    if 1 < orientation <= 8:
        yield _only_orientation(orientation)
    at = 2
    while True:
        at = _past_fill_bytes(data, at)
        if len(data) < at + 2 or data[at] != 0xFF:
            raise Unstrippable
        marker = data[at + 1]
        if marker == _EOI:
            yield data[at : at + 2]
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise Unstrippable
        if marker == _SOS:
            end = _end_of_scan(data, end)
        beginning = _NEEDED_BEGINNINGS.get(marker)
        if marker in _NEEDED or (beginning and data.startswith(beginning, at + 4)):
            yield data[at:end]
        if end == len(data):  # cut off, as many are: everything there is was copied
            return
        at = end


def _past_fill_bytes(data: bytes, at: int) -> int:
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    return at


def _end_of_scan(data: bytes, at: int) -> int:
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        follower = data[at + 1]
        if follower != 0 and not 0xD0 <= follower <= 0xD7 and follower != 0xFF:
            return at
        at += 1 if follower == 0xFF else 2
    return len(data)


def _only_orientation(orientation: int) -> bytes:
    """Return an Exif segment with one entry. Source: Exif 3.0, 4.5 and 4.6.4."""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return struct.pack(">2sH", b"\xff\xe1", len(tiff) + 8) + b"Exif\0\0" + tiff


def _png(data: bytes, _: int) -> Iterator[bytes]:
    if not data.startswith(PNG_START):
        raise Unstrippable
    yield PNG_START
    at = len(PNG_START)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            break
        if kind in PNG_NEEDED:
            yield data[at:end]
        if kind == b"IEND":
            return
        at = end
    raise Unstrippable


def _webp(data: bytes, _: int) -> Iterator[bytes]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise Unstrippable
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    kept = []
    at = 12
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        after = at + 8 + size + size % 2
        if at + 8 + size > end:
            raise Unstrippable
        chunk = data[at:after]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_EXIF_AND_XMP & 0xFF]) + chunk[9:]
        if kind in WEBP_NEEDED:
            kept.append(chunk)
        at = after
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(len, kept))) + b"WEBP"
    yield from kept


STRIPPERS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
}
