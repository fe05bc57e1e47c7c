"""The one reader of what is accepted, and from whom.

The most specific wins, field by field: the policy of the user, of the group with the lowest rank
(then the lowest name), of everybody, and at last the settings. Actions merge finding by finding.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet

from config.accounts.models import User
from config.prepared import Prepared
from uploads.folder_models import WatchedFolder
from uploads.models import IntakePolicy
from uploads.validation import NONE, Action, Policy

GROUP_NAME = "group_name"  # an annotation


def policy() -> Policy:
    """Return what everybody may hand in whom no other policy names."""
    return _merged(IntakePolicy.objects.filter(user=None, group=None))


def policy_for(user: User) -> Policy:
    """Return what `user` may hand in; one query."""
    return _merged(sorted(_POLICIES(user=user.pk), key=_width))


def policy_of_folder(folder: WatchedFolder) -> Policy:
    """Return what may come in through `folder`: what it says itself, before its owner's policy."""
    said: dict[str, Any] = {}
    if folder.max_bytes is not None:
        said["max_bytes"] = folder.max_bytes
    return replace(policy_for(folder.owner), **said, **_types_of(folder))


def _width(row: IntakePolicy) -> tuple[bool, bool, int, str]:
    """Order policies from the narrowest to the widest."""
    group_name: str = getattr(row, GROUP_NAME) or ""
    return (row.user_id is None, row.group_id is None, row.rank, group_name)


def _about(user: UUID) -> QuerySet[IntakePolicy]:
    """Return the policies of a user, of their groups, and of everybody."""
    subjects = Q(user=user) | Q(group__user=user) | Q(user=None, group=None)
    return IntakePolicy.objects.filter(subjects).annotate(**{GROUP_NAME: F("group__name")})


_POLICIES = Prepared(IntakePolicy, _about)


def _merged(narrow_to_wide: Iterable[IntakePolicy]) -> Policy:
    """Return the settings, overlaid with the rows from the last to the first."""
    given = settings.UPLOADS
    values: dict[str, Any] = {
        "max_bytes": given["MAX_BYTES"],
        "allowed_types": tuple(given["ALLOWED_TYPES"]),
        "denied_types": tuple(given["DENIED_TYPES"]),
        "quota_bytes": given["QUOTA_BYTES"],
        "quota_files": given["QUOTA_FILES"],
        "required_checks": _checks(given["REQUIRED_CHECKS"]),
        "hold_unchecked": given["NOT_CHECKED"] == "hold",
        "actions": {code: Action(action) for code, action in given["ACTIONS"].items()},
        "retention_days": given["RETENTION_DAYS"],
    }
    for row in reversed(list(narrow_to_wide)):
        values |= _said_by(row)
        values["actions"] = {
            **values["actions"],
            **{code: Action(action) for code, action in row.actions.items()},
        }
    return Policy(**values)


def _said_by(row: IntakePolicy) -> dict[str, Any]:
    limits = {
        name: getattr(row, name)
        for name in ("max_bytes", "quota_bytes", "quota_files", "retention_days")
    }
    said = {name: limit for name, limit in limits.items() if limit is not None}
    said |= _types_of(row)
    if row.required_checks.strip():
        said["required_checks"] = _checks(row.required_checks.split())
    if row.not_checked:
        said["hold_unchecked"] = row.not_checked == "hold"
    return said


def _types_of(row: IntakePolicy | WatchedFolder) -> dict[str, Any]:
    said = {
        "allowed_types": tuple(row.allowed_types.split()),
        "denied_types": tuple(row.denied_types.split()),
    }
    return {name: patterns for name, patterns in said.items() if patterns}


def _checks(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name != NONE)
