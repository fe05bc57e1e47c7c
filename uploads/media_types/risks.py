"""What can happen to whoever opens a file: script, a second meaning, something inside. Pure."""

import re
from collections.abc import Iterator

from config.ranges import RangeSource
from uploads.media_types import zips

WINDOW = 4 * 1024 * 1024  # at both ends of a document; what lies between is not looked at
EDGE = 64 * 1024  # at both ends of a picture or a sound

_SVG_ACTIVE = re.compile(
    rb"<script\b|<foreignobject\b|\son[a-z]+\s*=|javascript:|<iframe\b|<!entity\b", re.IGNORECASE
)
_XML_ENTITY = re.compile(
    rb"<!ENTITY\b|<!DOCTYPE\s+\S+\s+SYSTEM\b|<xi:include\b|<\?xml-stylesheet\b", re.IGNORECASE
)
_HTML_INSIDE = re.compile(
    rb"<script\b|<html\b|<!doctype html|<iframe\b|<body\b|<\?php\b", re.IGNORECASE
)

# A second file behind or inside another. Sources: RAR 5.0 technical note; 7zFormat.txt.
_ARCHIVES_INSIDE = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")
# (offset, bytes): readers that look for these do not look at the first bytes. Sources: ISO 9660;
# POSIX.1-1988 ustar; DICOM PS3.10, 7.1.
_ELSEWHERE = (
    (32_769, b"CD001", "application/x-iso9660-image"),
    (257, b"ustar", "application/x-tar"),
    (128, b"DICM", "application/dicom"),
)
# A picture whose first bytes are also a script with a comment or an assignment.
_SCRIPT_HEADS = re.compile(rb"(?:GIF8[79]a|BM)(?:/\*|=|\s*=)")

ACTIVE_TYPES = frozenset(
    {"text/html", "application/xhtml+xml", "text/javascript", "application/javascript",
     "text/vbscript", "text/x-msdos-batch", "text/x-powershell", "text/x-shellscript",
     "application/vnd.adobe.flash.movie", "application/x-ms-shortcut", "application/hta",
     "text/x-php"}
)  # fmt: skip
_MEDIA = ("image/", "audio/", "video/", "font/")
_MAY_HOLD_A_ZIP = ("application/vnd.microsoft.portable-executable", "application/x-elf")


def is_active(media_type: str, source: RangeSource) -> bool:
    """Tell whether a reader of this type would run or fetch something of the file."""
    if media_type in ACTIVE_TYPES:
        return True
    if media_type == "image/svg+xml":
        return any(_SVG_ACTIVE.search(part) for part in _windows(source, WINDOW))
    if media_type.endswith(("+xml", "/xml", "-xml")):
        return any(_XML_ENTITY.search(part) for part in _windows(source, EDGE))
    return False


def rar_is_encrypted(head: bytes) -> bool:
    """Tell whether even the names in a RAR are encrypted. Sources: RAR 4 and 5 technical notes."""
    if head.startswith(b"Rar!\x1a\x07\x01\x00"):
        return head[13:14] == b"\x04" or head[12:13] == b"\x04"
    return head.startswith(b"Rar!\x1a\x07\x00") and len(head) > 10 and bool(head[10] & 0x80)


def has_second_meaning(media_type: str, source: RangeSource, head: bytes) -> bool:
    """Tell whether the file can be read as another type as well."""
    if not head.startswith(zips.MAGIC) and media_type not in _MAY_HOLD_A_ZIP:
        directory = zips.find_directory(source)
        if directory is not None and directory.size:
            return True
    is_media = media_type.startswith(_MEDIA) and media_type != "image/svg+xml"
    is_binary = is_media or media_type in ("application/zip", "application/gzip", "application/pdf")
    if is_binary and _lies_elsewhere(media_type, source):
        return True
    if not is_media:
        return False
    if _SCRIPT_HEADS.match(head) or b"%PDF-" in head[1:1024]:
        return True
    return any(
        _HTML_INSIDE.search(part) or any(mark in part for mark in _ARCHIVES_INSIDE)
        for part in _windows(source, EDGE)
    )


def _lies_elsewhere(media_type: str, source: RangeSource) -> bool:
    return any(
        media_type != other and source.read_at(offset, len(mark)) == mark
        for offset, mark, other in _ELSEWHERE
        if offset + len(mark) <= source.size
    )


def _windows(source: RangeSource, length: int) -> Iterator[bytes]:
    """Yield the two ends of a file, or the whole of a short one."""
    yield source.read_at(0, min(2 * length, source.size))
    if source.size > 2 * length:
        yield source.read_at(source.size - length, length)
