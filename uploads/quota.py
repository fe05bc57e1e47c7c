"""What each user may hold. Counters change by conditional UPDATE, so they hold in parallel."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from config.accounts.models import User
from config.prepared import Prepared, PreparedUpdate
from uploads.errors import QuotaExceeded
from uploads.models import Quota
from uploads.policy import policy_for
from uploads.validation import Policy


@dataclass(frozen=True)
class Usage:
    """Bytes and number of uploads: held, allowed, and promised to what is still arriving."""

    used_bytes: int
    used_files: int
    max_bytes: int
    max_files: int
    reserved_bytes: int = 0
    reserved_files: int = 0

    @property
    def left_files(self) -> int:
        """Return how many uploads may still come."""
        return max(0, self.max_files - self.used_files - self.reserved_files)

    @property
    def left_bytes(self) -> int:
        """Return how many bytes may still come."""
        if not self.left_files:
            return 0
        return max(0, self.max_bytes - self.used_bytes - self.reserved_bytes)


def usage(user: User, rules: Policy | None = None) -> Usage:
    """Return what `user` holds and may hold; `rules` are theirs, where they are at hand."""
    quota = next(iter(_QUOTA(user=user.pk)), Quota(user=user))
    return _usage(quota, rules or policy_for(user))


def take(user: User, size: int, rules: Policy) -> None:
    """Count one more upload of `size` bytes. Call it in the transaction that makes the upload.

    `rules` are the user's, as they were when the file began to arrive.

    Raises:
        QuotaExceeded: it does not fit; nothing was counted.
    """
    _change(_TAKE, user, size, rules)


def reserve(user: User, size: int) -> None:
    """Promise `size` bytes to one upload that will arrive.

    Raises:
        QuotaExceeded: it does not fit; nothing was promised.
    """
    _change(_RESERVE, user, size, policy_for(user))


def release(owner_id: UUID, size: int) -> None:
    """Take a promise back."""
    Quota.objects.filter(pk=owner_id).update(
        reserved_bytes=F("reserved_bytes") - size, reserved_files=F("reserved_files") - 1
    )


def settle(owner_id: UUID, size: int) -> None:
    """Count the upload that a promise was for. Call it in the transaction that makes it."""
    Quota.objects.filter(pk=owner_id).update(
        reserved_bytes=F("reserved_bytes") - size,
        reserved_files=F("reserved_files") - 1,
        used_bytes=F("used_bytes") + size,
        used_files=F("used_files") + 1,
    )


def give_back(owner_id: UUID, size: int) -> None:
    """Count one upload of `size` bytes less."""
    Quota.objects.filter(pk=owner_id).update(
        used_bytes=F("used_bytes") - size, used_files=F("used_files") - 1
    )


def _change(counters: PreparedUpdate, user: User, size: int, rules: Policy) -> None:
    values = {
        "user": user.pk,
        "size": size,
        "max_bytes": rules.quota_bytes,
        "max_files": rules.quota_files,
    }
    if counters(**values):
        return
    _, is_first = Quota.objects.get_or_create(user=user)
    if not (is_first and counters(**values)):
        raise QuotaExceeded


def _fitting(user: UUID, size: int, max_bytes: int, max_files: int) -> QuerySet[Quota]:
    """Return the user's row, if one more upload fits."""
    return Quota.objects.filter(
        pk=user,
        used_bytes__lte=Coalesce("max_bytes", max_bytes) - size - F("reserved_bytes"),
        used_files__lt=Coalesce("max_files", max_files) - F("reserved_files"),
    )


def _one_more(counter: str) -> PreparedUpdate:
    def build(size: int, **who: Any) -> tuple[QuerySet[Quota], dict[str, CombinedExpression]]:
        changes = {
            f"{counter}_bytes": F(f"{counter}_bytes") + size,
            f"{counter}_files": F(f"{counter}_files") + 1,
        }
        return _fitting(size=size, **who), changes

    return PreparedUpdate(Quota, build)


_QUOTA = Prepared(Quota, lambda user: Quota.objects.filter(pk=user))
_TAKE = _one_more("used")
_RESERVE = _one_more("reserved")


def _usage(quota: Quota, rules: Policy) -> Usage:
    return Usage(
        used_bytes=quota.used_bytes,
        used_files=quota.used_files,
        max_bytes=_first(quota.max_bytes, rules.quota_bytes),
        max_files=_first(quota.max_files, rules.quota_files),
        reserved_bytes=quota.reserved_bytes,
        reserved_files=quota.reserved_files,
    )


def _first(own: int | None, default: int) -> int:
    return default if own is None else own
