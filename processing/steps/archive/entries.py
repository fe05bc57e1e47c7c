"""What the readers of formats have in common: one member as its archive describes it."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from processing.steps.archive.limits import MAX_PATH_CHARS
from processing.steps.archive.streams import Reader, Window

FILE, FOLDER, LINK, SPECIAL = "file", "folder", "link", "special"

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(slots=True)
class Entry:
    """One member: what is said about it, and how to read it.

    `size` is declared, None where the format does not say. `open` is None where there is
    nothing to read; what it returns raises `Damaged` where the bytes are not right.
    """

    path: str
    kind: str = FILE
    size: int | None = None
    open: Callable[[], Reader] | None = None
    window: Window | None = None  # where its bytes stand as they are in a seekable file
    declared: str = ""  # the media type that is said, where the format says one
    charset: str = ""  # likewise
    flags: list[str] = field(default_factory=list)


def flags_of(path: str) -> list[str]:
    """Return what makes `path` unfit to be taken for a path; it is data and nothing else."""
    flags = []
    flat = unicodedata.normalize("NFKC", path[:MAX_PATH_CHARS]).replace("\\", "/")
    flat = flat.replace("\u2215", "/").replace("\u2044", "/")
    if flat.startswith("/") or _DRIVE.match(flat) or ".." in flat.split("/"):
        flags.append("slip")
    if _CONTROL.search(path):
        flags.append("odd_name")
    if len(path) > MAX_PATH_CHARS:
        flags.append("long_name")
    if not path:
        flags.append("no_name")
    return flags


def printable(path: str) -> str:
    """Return `path` as text that every writer of UTF-8 takes, cut to its limit."""
    return path[:MAX_PATH_CHARS].encode("utf-8", "replace").decode()
