"""What each user may hold. Counters change by conditional UPDATE, so they hold in parallel."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import F

from config.accounts.models import User
from uploads.errors import QuotaExceeded
from uploads.models import Quota


@dataclass(frozen=True)
class Usage:
    """Bytes and number of uploads: held, and allowed."""

    used_bytes: int
    used_files: int
    max_bytes: int
    max_files: int

    @property
    def left_bytes(self) -> int:
        """Return how many bytes may still come."""
        return max(0, self.max_bytes - self.used_bytes) if self.used_files < self.max_files else 0


def usage(user: User) -> Usage:
    """Return what `user` holds and may hold."""
    quota = Quota.objects.filter(pk=user.pk).first() or Quota(user=user)
    return _usage(quota)


def take(user: User, size: int) -> None:
    """Count one more upload of `size` bytes. Call it in the transaction that makes the upload.

    Raises:
        QuotaExceeded: it does not fit; nothing was counted.
    """
    quota, _ = Quota.objects.get_or_create(user=user)
    limits = _usage(quota)
    taken = Quota.objects.filter(
        pk=user.pk,
        used_bytes__lte=limits.max_bytes - size,
        used_files__lt=limits.max_files,
    ).update(used_bytes=F("used_bytes") + size, used_files=F("used_files") + 1)
    if not taken:
        raise QuotaExceeded


def give_back(owner_id: UUID, size: int) -> None:
    """Count one upload of `size` bytes less."""
    Quota.objects.filter(pk=owner_id).update(
        used_bytes=F("used_bytes") - size, used_files=F("used_files") - 1
    )


def _usage(quota: Quota) -> Usage:
    return Usage(
        used_bytes=quota.used_bytes,
        used_files=quota.used_files,
        max_bytes=_first(quota.max_bytes, settings.UPLOADS["QUOTA_BYTES"]),
        max_files=_first(quota.max_files, settings.UPLOADS["QUOTA_FILES"]),
    )


def _first(own: int | None, default: int) -> int:
    return default if own is None else own
