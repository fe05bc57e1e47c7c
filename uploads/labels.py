"""Labels of uploads: a folder and tags, by which files are found and pipelines chosen.

They are kept in the clear, unlike names: they are words of an installation, not of a file. Pure.
"""

import re
from collections.abc import Iterable

from uploads.errors import LabelMalformed

MAX_TAGS = 10
MAX_TAGS_CHARACTERS = 200
TAG = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,39}")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*(?:/[A-Za-z0-9][A-Za-z0-9_. -]*)*")
MAX_FOLDER_CHARACTERS = 100


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags that a client wrote with commas or spaces between them."""
    return tuple(dict.fromkeys(re.split(r"[,\s]+", text.strip(", \t\r\n")))) if text.strip() else ()


def check_labels(*, folder: str, tags: Iterable[str]) -> None:
    """Refuse what is no folder and no tag.

    Raises:
        LabelMalformed
    """
    words = list(tags)
    if (
        len(words) > MAX_TAGS
        or len(" ".join(words)) > MAX_TAGS_CHARACTERS
        or not all(TAG.fullmatch(word) for word in words)
        or len(folder) > MAX_FOLDER_CHARACTERS
        or (folder and not FOLDER.fullmatch(folder))
    ):
        raise LabelMalformed


def pack_tags(tags: Iterable[str]) -> str:
    """Return tags as the column keeps them: each between two spaces, so that it can be found."""
    words = sorted(set(tags))
    return f" {' '.join(words)} " if words else ""
