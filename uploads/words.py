"""The words of a text as a search sees them: the same for a file and for a question. Pure."""

import re
import unicodedata
from collections.abc import Iterator

MIN_CHARS, MAX_CHARS = 2, 64
_WORD = re.compile(rf"\w{{{MIN_CHARS},}}")


def words_of_name(name: str) -> Iterator[str]:
    """Yield the words of a file name: as they stand there, and parted at underscores."""
    yield from words_of(name)
    if "_" in name:
        yield from words_of(name.replace("_", " "))


def words_of(text: str) -> Iterator[str]:
    """Yield the words, folded: without case, accents, or other ways to write the same letter."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    for found in _WORD.finditer(plain):
        yield found[0][:MAX_CHARS]
