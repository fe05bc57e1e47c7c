"""Types that libmagic does not know, or tells by another name than the registered one."""

import re
import struct

# Another name of a type -> the registered one. Source: IANA media types registry; where none is
# registered, the name that the maintainers of the format, or most readers of it, use.
_WINDOWS_PROGRAM = "application/vnd.microsoft.portable-executable"
REGISTERED_NAMES = {
    "application/x-coredump": "application/x-elf",
    "application/x-dbf": "application/vnd.dbf",
    "application/x-dosexec": _WINDOWS_PROGRAM,
    "application/x-executable": "application/x-elf",
    "application/x-java-applet": "application/java-vm",
    "application/x-ms-ne-executable": _WINDOWS_PROGRAM,
    "application/x-msdownload": _WINDOWS_PROGRAM,
    "application/x-object": "application/x-elf",
    "application/x-pie-executable": "application/x-elf",
    "application/x-rar": "application/vnd.rar",
    "application/x-sharedlib": "application/x-elf",
    "application/x-shockwave-flash": "application/vnd.adobe.flash.movie",
    "application/x-zip-compressed": "application/zip",
    "audio/x-m4a": "audio/mp4",
    "audio/x-wav": "audio/vnd.wave",
    "audio/wav": "audio/vnd.wave",
    "image/fits": "application/fits",
    "image/jpg": "image/jpeg",
    "image/x-icns": "image/icns",
    "image/x-portable-greymap": "image/x-portable-graymap",
    "image/x-qoi": "image/qoi",
    "inode/x-empty": "application/x-empty",
    "text/rtf": "application/rtf",
    "text/xml": "application/xml",
    "video/x-matroska": "video/matroska",
    "video/x-msvideo": "video/vnd.avi",
}

# (offset, bytes, media type). Sources: [MS-ONESTORE] 2.3.1; pcapng draft, 4.1; CFBinaryPList.c;
# SGI image file format 1.0; RIFF 1991 (RIFX); [MS-EMF] 2.3.4.2; Berkeley DB db_page.h;
# Apache Parquet, "File format"; [MS-XLS] and its predecessors (BIFF4); OpenType 1.9, "Font file".
SIGNATURES = (
    (0, bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), "application/onenote"),
    (0, b"\x0a\x0d\x0d\x0a", "application/x-pcapng"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"bplist0", "application/x-bplist"),
    (0, b"\x01\xda\x00\x01", "image/sgi"),
    (0, b"\x01\xda\x00\x02", "image/sgi"),
    (0, b"\x01\xda\x01\x01", "image/sgi"),
    (0, b"\x01\xda\x01\x02", "image/sgi"),
    (0, b"RIFX", "audio/vnd.wave"),
    (40, b" EMF", "image/emf"),
    (12, struct.pack("<I", 0x061561), "application/x-berkeley-db"),
    (12, struct.pack(">I", 0x061561), "application/x-berkeley-db"),
    (12, struct.pack("<I", 0x053162), "application/x-berkeley-db"),
    (0, b"\x09\x04\x06\x00\x00\x00", "application/vnd.ms-excel.sheet.4"),
    (0, b"OTTO", "font/otf"),
    (0, b"\x00\x01\x00\x00\x00", "font/ttf"),
)
FOR_FONTS = ("font/sfnt", "application/vnd.ms-opentype")

# The object identifier of signed, and of enveloped data. Source: RFC 5652, 5.1 and 6.1.
_CMS = re.compile(
    rb"\x30(?:\x80|[\x81-\x84].{1,4})\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07(.)", re.DOTALL
)
_CMS_KINDS = {b"\x02": "application/pkcs7-signature", b"\x03": "application/pkcs7-mime"}

# Formats written as text that a reader tells by their first words.
_AS_TEXT = (
    (re.compile(rb"\s*#define\s+\w+_width\s+\d+"), "image/x-xbitmap"),
    (re.compile(rb"P1\s"), "image/x-portable-bitmap"),
    (re.compile(rb"\s*0\r?\n\s*SECTION\r?\n"), "image/vnd.dxf"),
    (re.compile(rb"solid\b[^\n]*\n\s*facet\s+normal"), "model/x.stl-ascii"),
)
_TGA_FOOTER = b"TRUEVISION-XFILE"


def by_signature(head: bytes) -> str | None:
    """Return the type that the first bytes name."""
    for offset, signature, media_type in SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    if found := _CMS.match(head[:32]):
        return _CMS_KINDS.get(found[1])
    return None


def by_first_words(head: bytes) -> str | None:
    """Return the type of a text that is no prose."""
    return next((kind for words, kind in _AS_TEXT if words.match(head)), None)


def is_binary_stl(head: bytes, size: int) -> bool:
    """Tell whether a file of `size` bytes is as long as its number of triangles says.

    Source: StereoLithography Interface Specification, 1988: 80 bytes, a count, 50 bytes each.
    """
    return size >= 84 and size == 84 + 50 * int(struct.unpack_from("<I", head, 80)[0])


def looks_like_tga(tail: bytes) -> bool:
    """Tell whether what libmagic takes for a TGA picture says so itself: its head says little."""
    return _TGA_FOOTER in tail
