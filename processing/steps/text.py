"""Text out of bytes, for the steps that read it: any encoding, bounded memory, nothing lost."""

import codecs
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from uploads.media_types import BYTE_ORDER_MARKS, HEAD_BYTES, encoding_of

# Besides "auto". All of them decode piece by piece.
ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii", "latin-1",
    "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9", "iso-8859-15", "cp437", "cp850",
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "koi8-r", "koi8-u", "mac-roman", "shift_jis", "euc_jp", "iso2022_jp", "gb18030", "big5",
    "euc_kr",
)  # fmt: skip

# Read as text by Python alone, without a parser in C.
PLAIN_TEXTS = (
    "text/plain",
    "text/csv",
    "text/tab-separated-values",
    "application/json",
    "application/x-ndjson",
)

# A lone surrogate: no decoder above makes one out of content, so it marks undecodable bytes
# without being mistaken for a replacement character that was in the file.
UNDECODABLE = "\udcff"
REPLACEMENT = "\ufffd"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return UNDECODABLE, error.end
    raise error


codecs.register_error("strongroom.mark", _mark)


def choose_encoding(content: BinaryIO, wanted: str) -> str:
    """Return `wanted`, or for "auto" what the first bytes suggest; `content` is rewound.

    UTF-16 and UTF-32 without a byte order mark are read as little-endian: Python's own
    decoders refuse them.
    """
    head = content.read(HEAD_BYTES)
    content.seek(0)
    if wanted in ("utf-16", "utf-32"):
        marks = tuple(mark for mark, codec in BYTE_ORDER_MARKS if codec == wanted)
        return wanted if head.startswith(marks) else f"{wanted}-le"
    return encoding_of(head) if wanted == "auto" else wanted


def decode(content: BinaryIO, encoding: str, *, block_bytes: int) -> Iterator[str]:
    r"""Yield `content` as text, block by block, none of them empty.

    What cannot be decoded becomes `UNDECODABLE`, and every line end becomes "\n".
    """
    incremental = codecs.getincrementaldecoder(encoding)("strongroom.mark")
    decoder = io.IncrementalNewlineDecoder(incremental, translate=True)
    while block := content.read(block_bytes):
        if text := decoder.decode(block):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


class LineReader:
    """The lines of a text in windows, each at most a block and a line long.

    A line longer than `max_chars` is cut into pieces, which are lines with the same number.
    `lines`, `undecodable` and `cut` are exact counts of what was read so far.
    """

    def __init__(
        self, content: BinaryIO, encoding: str, *, max_chars: int, block_bytes: int = 256 * 1024
    ) -> None:
        self._blocks = decode(content, encoding, block_bytes=block_bytes)
        self._max_chars = max_chars
        self._unfinished = False  # pieces of the current line are out already
        self.lines = 0
        self.undecodable = 0
        self.cut = 0

    def windows(self) -> Iterator[tuple[Sequence[int], list[str]]]:
        """Yield the numbers of some lines, from 1, and the lines, without their ends."""
        rest = ""
        for block in self._blocks:
            text = rest + block
            lines = text.split("\n")
            rest = lines.pop()
            if self._unfinished or len(text) > self._max_chars:
                numbers, lines, rest = self._cut(lines, rest)
            else:
                numbers = range(self.lines + 1, self.lines + 1 + len(lines))
                self.lines += len(lines)
            if lines:
                yield numbers, self._repaired(lines, text)
        if rest:
            self.lines += not self._unfinished
            yield [self.lines], self._repaired([rest], rest)

    def _cut(self, lines: list[str], rest: str) -> tuple[Sequence[int], list[str], str]:
        numbers: list[int] = []
        pieces: list[str] = []

        def take(piece: str) -> None:
            self.lines += not self._unfinished
            numbers.append(self.lines)
            pieces.append(piece)

        def shorten(line: str) -> str:
            while len(line) > self._max_chars:
                take(line[: self._max_chars])
                self.cut += not self._unfinished
                self._unfinished = True
                line = line[self._max_chars :]
            return line

        for line in lines:
            take(shorten(line))
            self._unfinished = False
        return numbers, pieces, shorten(rest)

    def _repaired(self, lines: list[str], text: str) -> list[str]:
        if UNDECODABLE not in text:
            return lines
        self.undecodable += sum(UNDECODABLE in line for line in lines)
        return [line.replace(UNDECODABLE, REPLACEMENT) for line in lines]
