"""The text of RTF, from front to back. Source: Rich Text Format Specification 1.9.1."""

import codecs
import re
from collections.abc import Iterator

from processing.steps.document_text.errors import DocumentDamaged
from processing.steps.markup import Reader

BLOCK = 64 * 1024
MAX_GROUPS = 10_000  # in groups
MAX_TOKEN_BYTES = 64
# Groups whose text is not the document's.
HIDDEN = frozenset({
    "annotation", "author", "bkmkend", "bkmkstart", "colortbl", "comment", "company", "datafield",
    "datastore", "doccomm", "factoidname", "falt", "fldinst", "fonttbl", "generator", "info",
    "keywords", "listoverridetable", "listtable", "manager", "nonshppict", "objdata", "objclass",
    "operator", "panose", "pgptbl", "pict", "private", "revtbl", "rsidtbl", "stylesheet",
    "subject", "template", "themedata", "title", "xmlnstbl",
})  # fmt: skip
WORDS = {
    "par": "\n", "line": "\n", "sect": "\f", "page": "\f", "tab": "\t", "cell": "\t", "row": "\n",
    "emdash": "\u2014", "endash": "\u2013", "emspace": " ", "enspace": " ", "bullet": "\u2022",
    "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d",
}  # fmt: skip
_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})?[ ]?"  # a control word
    rb"|\\'([0-9a-f]{2})"
    rb"|\\([^a-z'])"
    rb"|([{}])"
    rb"|([\r\n]+)"
    rb"|([^\\{}\r\n]+)",
    re.IGNORECASE,
)


class _State:
    __slots__ = ("hidden", "skip")

    def __init__(self, hidden: bool = False, skip: int = 1) -> None:
        self.hidden = hidden
        self.skip = skip  # characters after \u that stand for it


class RtfText:
    """A tokenizer with a stack of groups."""

    def __init__(self) -> None:
        self._stack = [_State()]
        self._charset = "cp1252"
        self._to_skip = 0
        self._bytes = bytearray()
        self._binary = 0
        self._star = False

    def text_of(self, reader: Reader) -> Iterator[str]:
        """Yield the text.

        Raises:
            DocumentDamaged: it is no RTF, or its groups go absurdly deep.
        """
        rest = reader.read(BLOCK)
        if not rest.startswith(b"{\\rtf"):
            raise DocumentDamaged
        while True:
            block = reader.read(BLOCK)
            pieces: list[str] = []
            rest = self._take(rest + block, pieces, last=not block)
            yield _repaired("".join(pieces))
            if not block:
                return

    def _take(self, data: bytes, pieces: list[str], *, last: bool) -> bytes:
        at = 0
        end = len(data) if last else max(0, len(data) - MAX_TOKEN_BYTES)
        while at < end:
            if self._binary:
                step = min(self._binary, len(data) - at)
                self._binary -= step
                at += step
                continue
            found = _TOKEN.match(data, at)
            if found is None:
                at += 1
                continue
            self._token(found, pieces)
            at = found.end()
        self._flush(pieces)
        return data[at:]

    def _token(self, found: re.Match[bytes], pieces: list[str]) -> None:
        word, number, hexadecimal, symbol, brace, _, plain = found.groups()
        state = self._stack[-1]
        if plain is not None:
            skipped = min(self._to_skip, len(plain))
            self._to_skip -= skipped
            if not state.hidden:
                self._bytes += plain[skipped:]
        elif hexadecimal is not None:
            if self._to_skip:
                self._to_skip -= 1
            elif not state.hidden:
                self._bytes.append(int(hexadecimal, 16))
        elif brace is not None:
            self._brace(brace, pieces)
        elif symbol is not None:
            self._symbol(symbol, state, pieces)
        elif word is not None:
            self._flush(pieces)
            self._word(word.decode("ascii").lower(), number, state, pieces)

    def _brace(self, brace: bytes, pieces: list[str]) -> None:
        self._flush(pieces)
        self._to_skip = 0
        if brace == b"{":
            if len(self._stack) > MAX_GROUPS:
                raise DocumentDamaged
            state = self._stack[-1]
            self._stack.append(_State(state.hidden, state.skip))
        elif len(self._stack) > 1:
            self._stack.pop()

    def _symbol(self, symbol: bytes, state: _State, pieces: list[str]) -> None:
        self._star = symbol == b"*"
        if self._star:
            state.hidden = True  # a destination that may be ignored is ignored
        text = {b"~": "\u00a0", b"_": "\u2011", b"\n": "\n", b"\r": "\n"}.get(symbol)
        if symbol in (b"\\", b"{", b"}"):
            text = symbol.decode()
        if text and not state.hidden:
            self._flush(pieces)
            pieces.append(text)

    def _word(self, word: str, number: bytes | None, state: _State, pieces: list[str]) -> None:
        value = int(number) if number else 0
        if word in HIDDEN:
            state.hidden = True
        elif word == "bin":
            self._binary = max(0, value)
        elif word == "uc":
            state.skip = min(max(0, value), 8)
        elif word == "ansicpg":
            self._set_charset(f"cp{value}")
        elif word == "mac":
            self._set_charset("mac-roman")
        elif state.hidden:
            return
        elif word == "u":
            code = value % 0x1_0000
            pieces.append(chr(code))
            self._to_skip = state.skip
        elif word in WORDS:
            pieces.append(WORDS[word])

    def _set_charset(self, name: str) -> None:
        try:
            self._charset = codecs.lookup(name).name
        except LookupError:
            self._charset = "cp1252"

    def _flush(self, pieces: list[str]) -> None:
        if self._bytes:
            pieces.append(self._bytes.decode(self._charset, "replace"))
            self._bytes.clear()


def _repaired(text: str) -> str:
    """Return `text` with the halves of characters joined, and without what is none."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "")
