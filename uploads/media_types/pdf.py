"""What a PDF would run, carry or hide, also where its objects are compressed. Pure.

Source: ISO 32000-1, 7.3.5 (names), 7.5.7 (object streams), 7.11.4 (files), 12.6.4 (actions).
"""

import re
import zlib
from collections.abc import Iterator

from config.ranges import RangeSource

WINDOW = 4 * 1024 * 1024  # at both ends; what lies between is not looked at
MAX_STREAMS = 2_000  # of objects
MAX_STREAM_BYTES = 4 * 1024 * 1024  # unpacked
MAX_BYTES = 16 * 1024 * 1024  # of all of them
HEADER_BYTES = 2_048  # of a stream's dictionary
MAX_HEADERS_BYTES = 8 * 1024 * 1024  # of all of them, which may overlap where nothing parts them
HEADER_COST_BYTES = 64  # what the look at a header costs besides its bytes
PIECE_BYTES = 16 * 1024  # of what is packed

_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|SubmitForm|ImportData|RichMedia)\b")
_EMBEDDED = re.compile(rb"/(?:EmbeddedFiles?|Filespec/EF)\b")
_ENCRYPTED = re.compile(rb"/Encrypt\b")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")  # any character of a name may be written so
_STREAM = re.compile(rb"\bstream\r?\n")
# Readers go by the cross-reference table, not by the type: what looks like one counts as one.
_OBJECTS = re.compile(rb"/ObjStm\b")
_FIRST = re.compile(rb"/First\b")
_COUNT = re.compile(rb"/N\b")
_FILTER = re.compile(rb"/Filter\b|/F\b")
_FLATE = re.compile(rb"/(?:FlateDecode|Fl)\b")
_OTHER_WAYS = re.compile(
    rb"/(?:ASCIIHexDecode|AHx|ASCII85Decode|A85|LZWDecode|LZW|RunLengthDecode|RL|Crypt|"
    rb"Predictor\s+(?!1\b)\d+)\b"
)


class Opaque(Exception):
    """Objects are packed in a way, or to a size, that is not looked into."""


def findings(source: RangeSource) -> set[str]:
    """Return the codes of what was found.

    Objects that cannot be looked into count as active: nobody packs them so but to hide something.
    In an encrypted PDF nothing can be looked into, and that is a finding of its own.
    """
    found: set[str] = set()
    windows = list(_windows(source))
    for window in windows:
        _look(window, found)
    if "encrypted_content" in found:
        return found
    try:
        for objects in _objects(windows):
            _look(objects, found)
    except Opaque:
        found.add("active_content")
    return found


def _look(text: bytes, found: set[str]) -> None:
    plain = _plain(text)
    for pattern, code in (
        (_ACTIVE, "active_content"),
        (_EMBEDDED, "embedded_file"),
        (_ENCRYPTED, "encrypted_content"),
    ):
        if pattern.search(plain):
            found.add(code)


def _plain(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text)


def _windows(source: RangeSource) -> Iterator[bytes]:
    """Yield the two ends of a file, or the whole of a short one."""
    yield source.read_at(0, min(2 * WINDOW, source.size))
    if source.size > 2 * WINDOW:
        yield source.read_at(source.size - WINDOW, WINDOW)


def _objects(windows: list[bytes]) -> Iterator[bytes]:
    """Yield what the streams of objects unpack to; one that is cut off, as far as it goes.

    Raises:
        Opaque
    """
    streams, left, headers_left = 0, MAX_BYTES, MAX_HEADERS_BYTES
    for window in windows:
        packed = memoryview(window)
        for begin in _STREAM.finditer(window):
            header = window[max(0, begin.start() - HEADER_BYTES) : begin.start()]
            header = header[header.rfind(b"obj") + 3 :] if b"obj" in header else header
            headers_left -= len(header) + HEADER_COST_BYTES
            if headers_left < 0:
                raise Opaque
            header = _plain(header)
            if not _is_of_objects(header) or not _FILTER.search(header):
                continue
            streams += 1
            if streams > MAX_STREAMS or _OTHER_WAYS.search(header):
                raise Opaque
            if len(_FLATE.findall(header)) != 1:
                raise Opaque
            objects = _inflated(packed[begin.end() :])
            left -= len(objects)
            if left < 0:
                raise Opaque
            yield objects


def _is_of_objects(header: bytes) -> bool:
    return bool(_OBJECTS.search(header) or (_FIRST.search(header) and _COUNT.search(header)))


def _inflated(packed: memoryview) -> bytes:
    inflater = zlib.decompressobj()
    objects = bytearray()
    try:
        for at in range(0, len(packed), PIECE_BYTES):
            room = MAX_STREAM_BYTES + 1 - len(objects)
            objects += inflater.decompress(packed[at : at + PIECE_BYTES], room)
            if len(objects) > MAX_STREAM_BYTES:
                raise Opaque
            if inflater.eof:
                break
    except zlib.error:
        raise Opaque from None
    return bytes(objects)
