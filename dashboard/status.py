"""The state of the service: what `/readyz` says in a word, in sentences about files.

The checks are those of `config.health`. Administrators see with what each of them was found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.accounts.models import User
from config.health import Finding, Health, findings
from dashboard.templatetags.strongroom import NOTHING, absolute, binary_size, count, duration
from processing import queue


@dataclass(frozen=True)
class Words:
    """How a check is called, and what each state of it means for files."""

    title: str
    meanings: Mapping[Health, str]


CHECKS: Mapping[str, Words] = {
    "database": Words(
        "Database",
        {Health.OK: "It answers.", Health.FAILED: "Nothing can be taken in or shown."},
    ),
    "disk": Words(
        "Disk",
        {
            Health.OK: "There is room for files.",
            Health.FAILED: "It is nearly full: files are refused until there is room again. Those "
            "that are kept can be read.",
        },
    ),
    "storage": Words(
        "Storage",
        {
            Health.OK: "It takes files and keeps them.",
            Health.FAILED: "It takes no files. What is kept may be out of reach for the moment.",
        },
    ),
    "keys": Words(
        "Keys",
        {
            Health.OK: "Every file can be opened for its owner.",
            Health.DEGRADED: "A master key is missing: the files under it cannot be opened until "
            "it is back.",
            Health.FAILED: "They cannot be read: files are neither taken in nor given out.",
        },
    ),
    "worker": Words(
        "Workers",
        {
            Health.OK: "Files are worked on.",
            Health.FAILED: "None shows life: files are taken in, kept, and worked on as soon as "
            "one is back.",
        },
    ),
    "sandbox": Words(
        "Sandbox",
        {
            Health.OK: "What reads a file can do nothing else.",
            Health.DEGRADED: "What reads a file runs with limits only: the administrator allows "
            "it.",
            Health.REFUSING: "What reads a file cannot be locked in here, so it refuses to run, "
            "unless the administrator allows it: files are taken in and kept, and their runs fail "
            "with sandbox_unavailable.",
        },
    ),
    "antivirus": Words(
        "Virus scanner",
        {
            Health.OK: "It answers.",
            Health.DEGRADED: "It cannot be reached, or its signatures are old: files that must be "
            "scanned may be held as not checked.",
            Health.NOT_INSTALLED: "There is none: files are not scanned for viruses.",
        },
    ),
    "yara": Words(
        "YARA rules",
        {
            Health.OK: "They can be used.",
            Health.DEGRADED: "They cannot be used: files that must pass them are held as not "
            "checked.",
            Health.NOT_INSTALLED: "There are none.",
        },
    ),
    "drop_folders": Words(
        "Drop folders",
        {
            Health.OK: "They are looked after.",
            Health.DEGRADED: "Some or all are not looked after: what lies in them waits. All other "
            "doors are open.",
            Health.NOT_INSTALLED: "None has been looked after yet.",
        },
    ),
    "ocr": Words(
        "Text in pictures",
        {Health.OK: "It is read.", Health.NOT_INSTALLED: "It is not read here."},
    ),
    "libarchive": Words(
        "7z and RAR",
        {
            Health.OK: "They are read.",
            Health.NOT_INSTALLED: "They are not read here, and not checked.",
        },
    ),
}


def _yes_or_no(value: Any) -> str:
    return "yes" if value else "no"


def _seconds(value: float | None) -> str:
    return duration(None if value is None else 1000 * value)


def _version(value: int) -> str:
    return f"version {value}" if value else "missing"


def _given(value: Any) -> str:
    return "given" if value else "missing"


def _days(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g} d"


FACTS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "engine": ("Program", str),
    "free_bytes": ("Free", binary_size),
    "total_bytes": ("Of", binary_size),
    "storages": ("Kept in", str),
    "active_master_key": ("Active master key", str),
    "master_keys": ("Master keys", count),
    "custody": ("Custody", str),
    "missing_master_keys": ("Missing", lambda ids: ids or "none"),
    "last_beat_s": ("Last sign of life", _seconds),
    "oldest_due_s": ("Oldest that waits", _seconds),
    "landlock_version": ("Landlock", _version),
    "seccomp": ("seccomp", _given),
    "resource_limits": ("Resource limits", _given),
    "unsandboxed_allowed": ("May run without", _yes_or_no),
    "program": ("Program", str),
    "signatures": ("Signatures", str),
    "signatures_age_days": ("Their age", _days),
    "signatures_oldest_days": ("Old from", _days),
    "problem": ("Problem", str),
    "folders": ("Folders", count),
    "folders_with_problems": ("With problems", count),
    "swept_at": ("Last swept", absolute),
}


@dataclass(frozen=True)
class Row:
    """One part of the service. `details` are for administrators: label and value."""

    name: str
    title: str
    health: Health
    meaning: str
    details: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class StatusPage:
    """All parts, and what they mean together. `workers` is None for those who do not see them."""

    health: Health
    rows: Sequence[Row]
    workers: Sequence[queue.WorkerSigns] | None
    looked_at: datetime


def status_page(user: User) -> StatusPage:
    """Return what the page of the state of the service shows."""
    found = findings()
    return StatusPage(
        health=_together(found),
        rows=[_row(name, finding, user) for name, finding in found.items()],
        workers=queue.workers() if user.is_staff else None,
        looked_at=queue.now(),
    )


def _together(found: Mapping[str, Finding]) -> Health:
    states = {finding.health for finding in found.values()}
    worst = (Health.FAILED, Health.REFUSING, Health.DEGRADED)
    return next((health for health in worst if health in states), Health.OK)


def _row(name: str, finding: Finding, user: User) -> Row:
    words = CHECKS.get(name, Words(name, {}))
    facts = finding.facts.items() if user.is_staff else ()
    return Row(
        name=name,
        title=words.title,
        health=finding.health,
        meaning=words.meanings.get(finding.health, ""),
        details=[(FACTS[key][0], FACTS[key][1](value)) for key, value in facts],
    )
