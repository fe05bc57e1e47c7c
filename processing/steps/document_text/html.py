"""The text of HTML, from front to back: no tree is built, and nothing is rendered or fetched.

Source: HTML Living Standard, 13.2.5 (tokens), 15.3 (what is shown as a block).
"""

import html
import re
from collections.abc import Iterable, Iterator

BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section",
    "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul",
})  # fmt: skip
CELLS = frozenset({"td", "th"})
HIDDEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg"})
MAX_TAG_CHARS = 64 * 1024
_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE
)


def charset_in(head: bytes) -> str | None:
    """Return the charset that the first 4 KiB of a page declare."""
    found = _CHARSET.search(head[:4096])
    return found[1].decode("ascii") if found else None


def text_of(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the text of a page, with a line end where a block ends and a tab between cells."""
    page = _Page()
    for block in blocks:
        page.take(block)
        yield page.give()
    page.end()
    yield page.give()


class _Page:
    """A tokenizer that holds no more than a tag."""

    def __init__(self) -> None:
        self._rest = ""
        self._hidden = ""  # the end that is waited for: of a comment, or of a hidden element
        self._pieces: list[str] = []

    def give(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def take(self, block: str) -> None:
        """Take in what is whole; the rest waits for the next block."""
        text = self._rest + block
        at = 0
        while at < len(text):
            after = self._hidden_part(text, at) if self._hidden else self._shown_part(text, at)
            if after < 0:
                break
            at = after
        else:
            at = len(text)
        self._rest = text[max(at, len(text) - MAX_TAG_CHARS) :]

    def end(self) -> None:
        if not self._hidden and not self._rest.startswith("<"):
            self._show(self._rest)

    def _hidden_part(self, text: str, at: int) -> int:
        """Return where the hidden part ends; -1: not in sight."""
        if self._hidden == "-->":
            found = text.find("-->", at)
        else:
            match = re.compile(re.escape(self._hidden), re.IGNORECASE).search(text, at)
            found = match.start() if match else -1
        if found < 0:
            return -1 if len(text) - at < len(self._hidden) else len(text) - len(self._hidden) + 1
        end = found + len(self._hidden)
        if self._hidden != "-->":
            end = text.find(">", end) + 1
            if not end:
                return -1
        self._hidden = ""
        return end

    def _shown_part(self, text: str, at: int) -> int:
        """Return where the next tag, or the text before it, ends; -1: not in sight."""
        start = text.find("<", at)
        if start != at:
            end = _whole_until(text, at) if start < 0 else start
            self._show(text[at:end])
            return end if end > at else -1
        if text.startswith("<!--", at):
            self._hidden = "-->"
            return at + 4
        if len(text) - at < 4:
            return -1
        if not (text[at + 1].isalpha() or text[at + 1] in "!?/"):
            self._pieces.append("<")
            return at + 1
        end = text.find(">", at)
        if end < 0:
            return -1 if len(text) - at < MAX_TAG_CHARS else len(text)  # no tag is that long
        self._tag(text[at : end + 1])
        return end + 1

    def _tag(self, tag: str) -> None:
        found = _TAG.match(tag)
        if found is None:
            return
        name = found[2].lower()
        if name in BLOCKS:
            self._pieces.append("\n")
        elif name in CELLS:
            self._pieces.append("\t")
        elif name in HIDDEN and not found[1] and not tag.endswith("/>"):
            self._hidden = f"</{name}"

    def _show(self, text: str) -> None:
        self._pieces.append(_SPACES.sub(" ", html.unescape(text)))


def _whole_until(text: str, at: int) -> int:
    """Return where a character reference begins that may go on in the next block."""
    start = text.rfind("&", max(at, len(text) - 40))
    return start if start >= 0 and ";" not in text[start:] else len(text)
