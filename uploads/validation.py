"""The judgement over a name, a size, a type, and what was found in a file. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType

from uploads.errors import (
    REFUSALS_OF_CONTENT,
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
TYPE_PATTERN = re.compile(r"[a-z0-9*.+-]+/[a-z0-9*.+-]+")
NONE = "none"  # in a list of checks: an empty one, as opposed to one that says nothing


class Action(StrEnum):
    """What is done with a file because of a finding, mildest first."""

    ALLOW = "allow"
    FLAG = "flag"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"  # found after the file was accepted, it means quarantine


# Check -> the media types that need it. A file of any other type has nothing for it to find.
# Those of `archive_limits` are the ones that its reader reads.
ARCHIVES = (
    "application/zip",
    "application/java-archive",
    "application/vnd.android.package-archive",
    "application/epub+zip",
    "application/vnd.google-earth.kmz",
    "application/vnd.ms-xpsdocument",
    "application/vnd.ms-*.macroenabled.12",
    "application/vnd.ms-visio.*",
    "application/vnd.oasis.opendocument.*",
    "application/vnd.openxmlformats-officedocument.*",
    "application/x-tar",
    "application/gzip",
    "application/x-bzip2",
    "application/x-xz",
    "application/x-lzma",
    "application/zstd",
    "application/x-7z-compressed",
    "application/vnd.rar",
)
CHECKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"archive_limits": ARCHIVES, "antivirus": ("*/*",), "yara": ("*/*",)}
)

# Finding -> what is done unless a policy says otherwise.
ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "type_mismatch": Action.FLAG,
        "type_uncertain": Action.FLAG,
        "macro": Action.FLAG,
        "macro_in_disguise": Action.QUARANTINE,
        "executable_in_disguise": Action.QUARANTINE,
        "polyglot": Action.FLAG,
        "active_content": Action.FLAG,
        "embedded_file": Action.FLAG,
        "encrypted_content": Action.FLAG,
        "container_damaged": Action.FLAG,
        "unsafe_member": Action.FLAG,
        "archive_limits": Action.QUARANTINE,
        "malware": Action.QUARANTINE,
        "rule_match": Action.QUARANTINE,
    }
)


@dataclass(frozen=True)
class Policy:
    """Limits in bytes; patterns of media types, of which denied ones win.

    `actions` holds what differs from `ACTIONS`. `hold_unchecked` says whether a file waits whose
    required checks could not be made.
    """

    max_bytes: int
    allowed_types: tuple[str, ...]
    denied_types: tuple[str, ...]
    quota_bytes: int = 2**62
    quota_files: int = 2**62
    required_checks: tuple[str, ...] = ()
    hold_unchecked: bool = True
    actions: Mapping[str, Action] = field(default_factory=dict)
    retention_days: int | None = None

    def action_on(self, code: str) -> Action:
        """Return what is done with a file in which `code` was found."""
        return self.actions.get(code) or ACTIONS[code]

    def checks_for(self, media_type: str) -> tuple[str, ...]:
        """Return the required checks that a file of this type needs, in their order."""
        needed = self.required_checks
        return tuple(n for n in CHECKS if n in needed and matches(media_type, CHECKS[n]))

    @property
    def takes_all_types(self) -> bool:
        """Tell whether a type is accepted unless it is denied."""
        return "*/*" in self.allowed_types


def mistakes_in(
    *, types: Iterable[str], checks: Sequence[str], actions: object
) -> dict[str, list[str]]:
    """Return what is wrong with parts of a policy, in sentences, by field."""
    found: dict[str, list[str]] = {}
    for pattern in types:
        if not TYPE_PATTERN.fullmatch(pattern):
            found.setdefault("allowed_types", []).append(f"{pattern} is no type in lower case.")
    for name in checks:
        if name not in CHECKS and list(checks) != [NONE]:
            known = ", ".join(CHECKS)
            found.setdefault("required_checks", []).append(f"{name} is not one of {known}.")
    if not isinstance(actions, dict):
        return found | {"actions": ["It must be an object: finding and action."]}
    for code, action in actions.items():
        if code not in ACTIONS:
            found.setdefault("actions", []).append(f"{code} is not one of {', '.join(ACTIONS)}.")
        if action not in list(Action):
            found.setdefault("actions", []).append(f"{action} is not one of {', '.join(Action)}.")
    return found


def check_findings(codes: Iterable[str], policy: Policy, *, told: str = "") -> dict[str, Action]:
    """Return what is done because of each finding; `told` says what the file is.

    Raises:
        Refusal: of the first finding that the policy does not let in.
    """
    actions = {code: policy.action_on(code) for code in codes}
    for code, action in actions.items():
        if action is Action.REFUSE:
            raise REFUSALS_OF_CONTENT[code](told)
    return actions


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


def check_media_types(candidates: Iterable[str], policy: Policy, *, told: str = "") -> None:
    """Refuse a file that can be none but of these types, if `policy` accepts none of them.

    `told` says what the file is.

    Raises:
        MediaTypeDenied
    """
    for media_type in candidates:
        if matches(media_type, policy.allowed_types) and not matches(
            media_type, policy.denied_types
        ):
            return
    raise MediaTypeDenied(told)


@lru_cache(maxsize=1024)
def matches(media_type: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether `media_type` is of one of the patterns, such as `text/*`."""
    return any(fnmatchcase(media_type, pattern) for pattern in patterns)
