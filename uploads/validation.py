"""The judgement over a name, a size and a type. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from uploads.errors import (
    MediaTypeDenied,
    NameIsAPath,
    NameMissing,
    NameTooLong,
    TooLarge,
)

NAME_CHARACTERS = 255
# What makes a name a path: the separators of POSIX and Windows, the end of a C string, and the
# two names that every folder already has. Everything else in a name is data.
PATH_CHARACTERS = frozenset("/\\\0")
FOLDER_NAMES = (".", "..")


@dataclass(frozen=True)
class Policy:
    """Limits in bytes; patterns of media types, of which denied ones win."""

    max_bytes: int
    allowed_types: tuple[str, ...]
    denied_types: tuple[str, ...]


def check_name(name: str) -> None:
    """Refuse what is no file name; keep every other name as it is.

    Raises:
        NameMissing, NameTooLong, NameIsAPath
    """
    if not name:
        raise NameMissing
    if len(name) > NAME_CHARACTERS:
        raise NameTooLong
    if name in FOLDER_NAMES or PATH_CHARACTERS.intersection(name):
        raise NameIsAPath


def check_size(size: int, policy: Policy) -> None:
    """Refuse more bytes than `policy` accepts.

    Raises:
        TooLarge
    """
    if size > policy.max_bytes:
        raise TooLarge


def check_media_type(media_type: str, policy: Policy) -> None:
    """Refuse a detected type that `policy` does not accept.

    Raises:
        MediaTypeDenied
    """
    if matches(media_type, policy.denied_types) or not matches(media_type, policy.allowed_types):
        raise MediaTypeDenied


def matches(media_type: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether `media_type` is of one of the patterns, such as `text/*`."""
    return any(fnmatchcase(media_type, pattern) for pattern in patterns)
