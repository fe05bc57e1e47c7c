"""OLE compound files, told from the names in their directory. Source: [MS-CFB] 2.2 and 2.6."""

import struct
from collections.abc import Iterator

from config.ranges import RangeSource

MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
END_OF_CHAIN = 0xFFFFFFFA  # and above: not a sector
MAX_SECTORS = 4096  # of the directory
ENTRY_BYTES = 128

# Name in the directory -> media type. Sources: [MS-DOC] 2.1, [MS-XLS] 2.1, [MS-PPT] 2.1,
# [MS-OXMSG] 2.2, [MS-OFFCRYPTO] 2.3.4; libvisio; libmspub.
STREAMS = (
    ("encryptedpackage", "application/x-ole-encrypted-package"),
    ("worddocument", "application/msword"),
    ("workbook", "application/vnd.ms-excel"),
    ("book", "application/vnd.ms-excel"),
    ("powerpoint document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("visiodocument", "application/vnd.visio"),
    ("quill", "application/x-mspublisher"),
)
MACROS = frozenset({"vba", "_vba_project", "_vba_project_cur", "macros"})
ENCRYPTED_PACKAGE = "application/x-ole-encrypted-package"
_INSTALLER = bytes.fromhex("8410 0c00 0000 0000 c000 0000 0000 0046")  # [MS-CFB] class id of MSI


def names_in(source: RangeSource) -> tuple[set[str], bytes]:
    """Return the names in the directory, in lower case, and the class id of its root."""
    header = source.read_at(0, 512)
    if len(header) < 512 or not header.startswith(MAGIC):
        return set(), b""
    shift = struct.unpack_from("<H", header, 30)[0]
    if shift not in (9, 12):
        return set(), b""
    names: set[str] = set()
    root = b""
    for sector in _chain(source, header, 1 << shift):
        for at in range(0, len(sector) - ENTRY_BYTES + 1, ENTRY_BYTES):
            size, kind = struct.unpack_from("<HB", sector, at + 64)
            if kind and 2 <= size <= 64:
                name = sector[at : at + size - 2].decode("utf-16-le", "replace")
                names.add(name.lower())
            if kind == 5:
                root = sector[at + 80 : at + 96]
    return names, root


def media_type_of(names: set[str], root_class: bytes) -> str | None:
    """Return what a compound file with these names is."""
    if root_class == _INSTALLER:
        return "application/x-msi"
    return next((media_type for name, media_type in STREAMS if name in names), None)


def _chain(source: RangeSource, header: bytes, sector_bytes: int) -> Iterator[bytes]:
    """Yield the sectors of the directory."""
    table = struct.unpack_from("<109I", header, 76)
    sector = struct.unpack_from("<I", header, 48)[0]
    per_sector = sector_bytes // 4
    seen: set[int] = set()
    while sector < END_OF_CHAIN and sector not in seen and len(seen) < MAX_SECTORS:
        seen.add(sector)
        content = source.read_at((sector + 1) * sector_bytes, sector_bytes)
        if len(content) < ENTRY_BYTES:
            return
        yield content
        part = sector // per_sector
        if part >= len(table) or table[part] >= END_OF_CHAIN:
            return  # the table goes on elsewhere: only in files beyond 6 MB, directory last
        at = (table[part] + 1) * sector_bytes + 4 * (sector % per_sector)
        following = source.read_at(at, 4)
        if len(following) < 4:
            return
        sector = struct.unpack("<I", following)[0]
