"""What owners are told of files in drop folders that were not taken. The only writer of reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from config.accounts.models import User
from config.errors import AppError
from config.events.announce import announce
from config.ids import uuid7
from uploads.encryption import seal, unseal
from uploads.folder_models import DropReport
from uploads.keys import owner_key

LIFETIME = timedelta(days=30)  # of a report, or as long as the original if that is longer
MOST = 1000  # reports of one owner: the oldest make room
_LABEL = b"strongroom drop reports v1"


@dataclass(frozen=True)
class Report:
    """A report with its name in the clear."""

    row: DropReport
    name: str


@transaction.atomic
def report(
    owner: User, *, name: str, error: AppError, mark: str, kept_until: datetime | None = None
) -> None:
    """Tell `owner` why something was not taken; once for each `mark`."""
    pk = uuid7()
    raw = name.encode("utf-8", "surrogatepass")
    _, is_new = DropReport.objects.get_or_create(
        owner=owner,
        mark=mark,
        defaults={
            "pk": pk,
            "sealed_name": seal(raw, key=_key(owner.pk), context=_context(pk)),
            "code": error.code,
            "detail": error.detail,
            "kept_until": kept_until,
        },
    )
    if is_new:
        announce(owner.pk, "drop.reported", report=pk)


def open_reports(owner: User, *, most: int) -> Sequence[Report]:
    """Return the newest reports that `owner` has not dismissed."""
    rows = list(not_dismissed(owner).order_by("-pk")[:most])
    names = names_of(owner, rows)
    return [Report(row, names[row.pk]) for row in rows]


def not_dismissed(owner: User) -> QuerySet[DropReport]:
    """Return the reports that `owner` has not dismissed."""
    return DropReport.objects.filter(owner=owner, dismissed_at=None)


def names_of(owner: User, rows: Sequence[DropReport]) -> dict[UUID, str]:
    """Return of what some reports of one owner tell, by their ids; one query at most."""
    if not rows:
        return {}
    key = _key(owner.pk)
    return {
        row.pk: unseal(bytes(row.sealed_name), key=key, context=_context(row.pk)).decode(
            "utf-8", "surrogatepass"
        )
        for row in rows
    }


def dismiss(owner: User, report_id: UUID | None) -> bool:
    """Show a report no more, or all of them; tell whether there was any. It is not made again."""
    rows = DropReport.objects.filter(owner=owner)
    if report_id is not None:
        rows = rows.filter(pk=report_id)
    now = timezone.now()
    return rows.filter(dismissed_at=None).update(dismissed_at=now) > 0 or rows.exists()


def forget_old(owner: User) -> None:
    """Remove what is too old, and what is too much."""
    now = timezone.now()
    rows = DropReport.objects.filter(owner=owner)
    rows.filter(created_at__lt=now - LIFETIME).exclude(kept_until__gt=now).delete()
    newest = rows.order_by("-pk").values_list("pk", flat=True)
    if beyond := newest[MOST : MOST + 1].first():
        rows.filter(pk__lte=beyond).delete()


def _key(owner_id: UUID) -> bytes:
    return HKDFExpand(SHA256(), 32, _LABEL).derive(owner_key(owner_id))


def _context(report_id: UUID) -> bytes:
    return b"drop report" + report_id.bytes
