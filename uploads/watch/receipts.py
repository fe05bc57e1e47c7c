"""What takes the place of a file that was handled: a small JSON file. Pure.

Its name is the file's own with `.json` at the end; where that is taken, the token of the claim
stands in between.
"""

import json
import os
from pathlib import Path

from config.durable import write_private
from config.errors import AppError
from uploads.watch.completeness import open_regular

SUFFIX = ".json"
LONGEST_RECEIPT = 64 * 1024  # bytes
LONGEST_NAME = 255  # bytes, on every file system in use


def write_receipt(path: Path, **facts: object) -> None:
    """Write `facts` in place of what is at `path`."""
    write_private(path, json.dumps(facts, indent=2) + "\n")


def read_receipt(path: Path) -> dict[str, str]:
    """Return the facts at `path`; nothing if it holds no receipt, whatever it is instead."""
    try:
        facts = json.loads(_text_of(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _text_of(path: Path) -> bytes:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = open_regular(path.name, folder=folder)
    finally:
        os.close(folder)
    if descriptor is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LONGEST_RECEIPT)


def refusal_facts(name: str, error: AppError) -> dict[str, str]:
    """Return what a receipt says of a file that is not taken."""
    return {"name": name, "state": "refused", "code": error.code, "detail": error.detail}


def free_stem(folder: Path, name: str, token: str) -> str:
    """Return a name for which neither a file nor a receipt exists in `folder`."""
    stem = _shortened(name, len(SUFFIX))
    if not os.path.lexists(folder / stem) and not os.path.lexists(folder / (stem + SUFFIX)):
        return stem
    return f"{_shortened(name, len(token) + 1 + len(SUFFIX))}.{token}"


def _shortened(name: str, spare_bytes: int) -> str:
    return os.fsdecode(os.fsencode(name)[: LONGEST_NAME - spare_bytes])
