"""Small 7z and RAR 5 archives, for which Python has no writer.

Sources: 7zFormat.txt of the LZMA SDK; RAR 5.0 technical note.
"""

import lzma
import struct
import zlib

SEVEN_ZIP, RAR = "application/x-7z-compressed", "application/vnd.rar"
LZMA2 = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}


def seven_zip(*members: tuple[str, bytes], spoilt: bool = False) -> bytes:
    """Return a 7z with all members in one solid block; none may be empty.

    `spoilt`: no checksum of a member is right.
    """
    contents = [content for _, content in members]
    packed = lzma.compress(b"".join(contents), lzma.FORMAT_RAW, filters=[LZMA2])
    names = b"\0" + b"".join(name.encode("utf-16-le") + b"\0\0" for name, _ in members)
    sizes = b"".join(_number(len(content)) for content in contents[:-1])
    header = b"".join(
        [
            b"\x01\x04",
            b"\x06" + _number(0) + _number(1) + b"\x09" + _number(len(packed)) + b"\0",
            # One folder of one coder: LZMA2, whose property 16 is a dictionary of a MiB.
            b"\x07\x0b" + _number(1) + b"\0" + _number(1) + b"\x21\x21\x01\x10",
            b"\x0c" + _number(sum(map(len, contents))) + b"\0",
            b"\x08\x0d" + _number(len(members)) + (b"\x09" + sizes if sizes else b""),
            b"\x0a\x01" + b"".join(struct.pack("<I", zlib.crc32(one) ^ spoilt) for one in contents),
            b"\0\0",
            b"\x05" + _number(len(members)) + b"\x11" + _number(len(names)) + names,
            b"\0\0",
        ]
    )
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    signature = b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start))
    return signature + start + packed + header


def rar(*members: tuple[str, bytes]) -> bytes:
    """Return a RAR 5 whose members are stored as they are."""
    blocks = [b"Rar!\x1a\x07\x01\0", _block(b"\x01\0\0")]
    for path, content in members:
        name = path.encode()
        fields = [2, 2, len(content), 4, len(content), 0o100644]
        head = b"".join(map(_vint, fields)) + struct.pack("<I", zlib.crc32(content))
        blocks += [_block(head + b"\0\x01" + _vint(len(name)) + name), content]
    return b"".join([*blocks, _block(b"\x05\0\0")])


def _number(value: int) -> bytes:
    more = next(count for count in range(9) if value < 1 << 7 * (count + 1))
    first = 0xFF << (8 - more) & 0xFF | value >> 8 * more
    return bytes([first]) + (value & (1 << 8 * more) - 1).to_bytes(more, "little")


def _vint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _block(fields: bytes) -> bytes:
    sized = _vint(len(fields)) + fields
    return struct.pack("<I", zlib.crc32(sized)) + sized
