"""System checks of the room `uploads`: what would lose or leak files stops the start."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DatabaseError

from config.startup.refusal import KEYS
from uploads.folder_models import WatchedFolder
from uploads.keys import key_ring
from uploads.models import IntakePolicy
from uploads.validation import mistakes_in
from uploads.watch.notices import POLLING_MODES

LONGEST_POLL_S = 3600


@checks.register(KEYS)
def check_key_ring(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to start without a readable, private key ring."""
    try:
        key_ring()
    except ImproperlyConfigured as error:
        return [
            checks.Error(
                str(error),
                hint="Set STRONGROOM_MASTER_KEYS_FILE, or restore keys/ in the data folder.",
                id="uploads.E001",
            )
        ]
    path = Path(settings.UPLOADS["MASTER_KEYS_FILE"])
    if not settings.UPLOADS["MASTER_KEYS_JSON"] and _others_can_read(path):
        return [
            checks.Error(
                "The key ring of the files can be read by other users of this machine.",
                hint=f"chmod 600 {path}",
                id="uploads.E002",
            )
        ]
    return []


def _others_can_read(path: Path) -> bool:
    """Tell whether a secret is open to more users than it has to be.

    One that belongs to somebody else, as Kubernetes mounts them, is read through its group.
    """
    status = path.stat()
    ours = status.st_uid == os.geteuid()
    forbidden = stat.S_IRWXO | (stat.S_IRWXG if ours else stat.S_IWGRP)
    return bool(status.st_mode & forbidden)


@checks.register
def check_blobs_are_not_served(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to keep blobs or keys below a folder that is served."""
    served = Path(settings.STATIC_ROOT).resolve()
    for name in ("BLOBS_DIR", "MASTER_KEYS_FILE", "DROP_DIR"):
        if Path(settings.UPLOADS[name]).resolve().is_relative_to(served):
            return [
                checks.Error(
                    f"UPLOADS['{name}'] lies inside STATIC_ROOT, which everybody can fetch.",
                    hint="Move it out of there.",
                    id="uploads.E003",
                )
            ]
    return []


@checks.register
def check_policy(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to start on rules that could not be obeyed."""
    given = settings.UPLOADS
    mistakes = mistakes_in(
        types=[*given["ALLOWED_TYPES"], *given["DENIED_TYPES"]],
        checks=given["REQUIRED_CHECKS"],
        actions=given["ACTIONS"],
    )
    if given["NOT_CHECKED"] not in ("hold", "release"):
        mistakes["not_checked"] = [f"{given['NOT_CHECKED']} is neither hold nor release."]
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"UPLOADS, {field}: {sentence}",
            hint="See docs/policies.md and the settings in docs/operations.md.",
            id="uploads.E004",
        )
        for field, sentences in mistakes.items()
        for sentence in sentences
    ]
    return found


@checks.register
def check_scanners(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to require of every file what nothing here can do."""
    given = settings.UPLOADS
    missing = [
        name
        for name, setting in (("antivirus", "CLAMD"), ("yara", "YARA_RULES"))
        if name in given["REQUIRED_CHECKS"] and not given[setting]
    ]
    return [
        checks.Error(
            f"The check {name} is required of every file, but it is not set up.",
            hint="Set STRONGROOM_CLAMD or STRONGROOM_YARA_RULES, or do not require it.",
            id="uploads.E005",
        )
        for name in missing
    ]


@checks.register
def check_drop_folders(**_: Any) -> list[checks.CheckMessage]:
    """Refuse to start on settings of drop folders that could not be obeyed."""
    given = settings.UPLOADS
    mistakes = []
    if given["DROP_POLLING"] not in POLLING_MODES:
        mistakes.append(f"STRONGROOM_DROP_POLLING is not one of {', '.join(POLLING_MODES)}.")
    if not 0.1 <= given["DROP_POLL_S"] <= LONGEST_POLL_S:
        mistakes.append(f"STRONGROOM_DROP_POLL_S is not between 0.1 and {LONGEST_POLL_S}.")
    mistakes += [
        f"STRONGROOM_{name} is below 0."
        for name in ("DROP_RECEIPT_DAYS", "DROP_REFUSED_DAYS")
        if given[name] < 0
    ]
    mistakes += [
        f"STRONGROOM_DROP_ROOTS names {root}, which is no absolute path of a folder."
        for root in given["DROP_ROOTS"]
        if not Path(root).is_absolute() or not Path(root).is_dir()
    ]
    return [
        checks.Error(sentence, hint="See docs/drop-folders.md.", id="uploads.E007")
        for sentence in mistakes
    ]


@checks.register(checks.Tags.database)
def check_watched_folders(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Say which watched folders could not be looked after as they say."""
    return _unclean(WatchedFolder, "uploads.E008") if databases else []


@checks.register(checks.Tags.database)
def check_policies(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Say which intake policies could not be obeyed; the admin would not have saved them."""
    return _unclean(IntakePolicy, "uploads.E006") if databases else []


def _unclean(
    model: type[IntakePolicy] | type[WatchedFolder], check_id: str
) -> list[checks.CheckMessage]:
    """Return an error for each row that the admin would not save today."""
    found: list[checks.CheckMessage] = []
    try:
        rows = list(model.objects.all())
    except DatabaseError:  # not migrated yet
        return []
    for row in rows:
        try:
            row.clean()
        except ValidationError as error:
            found.append(
                checks.Error(
                    f"{row}: {' '.join(error.messages)}",
                    hint="Correct it in the admin.",
                    id=check_id,
                )
            )
    return found


def refuse_unfit_policies() -> None:
    """Stop a start on intake policies and watched folders that could not be obeyed.

    Raises:
        ImproperlyConfigured
    """
    databases = ["default"]
    if found := check_policies(databases=databases) + check_watched_folders(databases=databases):
        raise ImproperlyConfigured(" ".join(str(message.msg) for message in found))
