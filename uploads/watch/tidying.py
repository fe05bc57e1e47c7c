"""Receipts, and the originals of refused files, go once they have lain long enough."""

import logging
import os
import shutil
import stat
import time
from contextlib import suppress
from datetime import datetime

from uploads.watch.folders import FAILED, PROCESSED, DropFolder
from uploads.watch.receipts import KEPT_UNTIL, SUBJECTS, SUFFIX, read_receipt

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 1000  # of one part; the rest goes the next time
DAY_S = 24 * 60 * 60


def remove_old(folder: DropFolder, *, receipt_days: int, refused_days: int) -> int:
    """Remove what has been kept for so many days, 0 for ever; return how many receipts went.

    Only what a receipt of ours speaks of is touched. What it promised holds, whatever the setting
    is by now.
    """
    removed, stuck = 0, set[str]()
    shortest = min((days for days in (receipt_days, refused_days) if days), default=0)
    for part in (PROCESSED, FAILED) if shortest else ():
        with folder.part(part) as descriptor:
            for name in _receipts(descriptor, shortest * DAY_S):
                try:
                    removed += _remove_if_due(descriptor, name, receipt_days, refused_days)
                except (OSError, RecursionError) as error:  # of one thing; the others go
                    stuck.add(type(error).__name__)
                if removed >= MOST_AT_ONCE:
                    break
    if removed:
        logger.info("old receipts of drop folders removed", extra={"receipts": removed})
    if stuck:
        logger.error(
            "drop folder: something old cannot be removed", extra={"errors": sorted(stuck)}
        )
    return removed


def _remove_if_due(folder: int, name: str, receipt_days: int, refused_days: int) -> bool:
    facts = read_receipt(folder, name)
    is_refusal = facts.get("state") == "refused"
    if not _is_due(folder, name, facts, refused_days if is_refusal else receipt_days):
        return False
    if is_refusal:
        _remove(folder, name.removesuffix(SUFFIX))
    _remove(folder, name)
    return True


def _receipts(folder: int, age_s: float) -> list[str]:
    """Return the names of what may be old receipts."""
    youngest = time.time() - age_s
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if entry.name.endswith(SUFFIX)
            and entry.is_file(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_mtime <= youngest
        ]


def _is_due(folder: int, name: str, facts: dict[str, str], days: int) -> bool:
    if not days or "state" not in facts or not SUBJECTS.intersection(facts):
        return False
    promised = 0.0
    with suppress(KeyError, TypeError, ValueError):
        promised = datetime.fromisoformat(facts[KEPT_UNTIL]).timestamp()
    written = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    return max(written + days * DAY_S, promised) <= time.time()


def _remove(folder: int, name: str) -> None:
    """Remove a file, or a folder with all that is in it; follow no link."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
