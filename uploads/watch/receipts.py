"""What takes the place of a file that was handled: a small JSON file. Pure.

Its name is the file's own with `.json` at the end; where that is taken, the token of the claim
stands in between.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime

from config.durable import PARTIAL, write_private_in
from config.errors import AppError
from uploads.watch.completeness import open_regular

SUFFIX = ".json"
LONGEST_RECEIPT = 64 * 1024  # bytes
LONGEST_NAME = 255  # bytes, on every file system in use
KEPT_UNTIL = "kept_until"
# In the facts of what a receipt is about: an upload, or the code of a refusal.
SUBJECTS = {"upload", "code"}


def write_receipt(folder: int, name: str, facts: Mapping[str, object]) -> None:
    """Write `facts` in place of what is called `name` in the open folder."""
    write_private_in(folder, name, json.dumps(facts, indent=2) + "\n")


def read_receipt(folder: int, name: str) -> dict[str, str]:
    """Return the facts of `name` in the open folder; nothing if that is no receipt."""
    try:
        facts = json.loads(_text_of(folder, name))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _text_of(folder: int, name: str) -> bytes:
    descriptor = open_regular(name, folder=folder)
    if descriptor is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LONGEST_RECEIPT)


def refusal_facts(name: str, error: AppError) -> dict[str, object]:
    """Return what a receipt says of a file that is not taken."""
    return {"name": name, "state": "refused", "code": error.code, "detail": error.detail}


def kept_until(when: datetime | None) -> dict[str, object]:
    """Return what a receipt says of how long it is kept; nothing if for ever."""
    return {} if when is None else {KEPT_UNTIL: when.isoformat(timespec="seconds")}


def free_stem(folder: int, name: str, token: str) -> str:
    """Return a name for which neither a file nor a receipt exists in the open folder."""
    stem = _shortened(name, len(SUFFIX) + len(PARTIAL))
    if not exists(folder, stem) and not exists(folder, stem + SUFFIX):
        return stem
    return f"{_shortened(name, len(token) + 1 + len(SUFFIX) + len(PARTIAL))}.{token}"


def exists(folder: int, name: str) -> bool:
    """Tell whether there is anything called `name` in the open folder."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _shortened(name: str, spare_bytes: int) -> str:
    return os.fsdecode(os.fsencode(name)[: LONGEST_NAME - spare_bytes])
