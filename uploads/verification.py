"""Is everything still there, and as it was? Rows against bytes, and bytes against rows.

Works beside a running system: what changes meanwhile is looked at twice before it is called a
fault.
"""

import hashlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from uploads import damage
from uploads.encryption import Damaged, UnknownKey
from uploads.models import Blob, Damage, Upload
from uploads.names import name_of
from uploads.reading import open_blob
from uploads.storage import BlobMissing, StorageFailed, store

logger = logging.getLogger(__name__)

BATCH = 200  # rows at once: no query stays open for longer, or SQLite's log could not be cut


class Fault(StrEnum):
    """What can be wrong with stored bytes, or with the rows that describe them."""

    DAMAGED = "damaged"
    MISSING = "missing"
    NO_KEY = "no_key"
    UNREADABLE = "unreadable"
    ORPHANED = "orphaned"


@dataclass(frozen=True)
class Finding:
    """One fault. `detail` is the part of the blob or of its rows that gave it away."""

    fault: Fault
    detail: str
    blob: UUID | None
    upload: UUID | None


UNREAD = {
    BlobMissing: (Fault.MISSING, "bytes"),
    UnknownKey: (Fault.NO_KEY, "key"),
    StorageFailed: (Fault.UNREADABLE, "bytes"),
}


@dataclass(frozen=True)
class Look:
    """One blob that was looked at, or skipped by the sample (then of 0 bytes)."""

    size: int
    checked: bool
    findings: tuple[Finding, ...] = ()


def blobs_of(*, username: str | None = None, upload_id: UUID | None = None) -> QuerySet[Blob]:
    """Return the blobs of everybody, of one user, or of one upload."""
    blobs = Blob.objects.filter(upload__isnull=False)
    if username is not None:
        blobs = blobs.filter(upload__owner__username=username)
    return blobs if upload_id is None else blobs.filter(upload=upload_id)


def look_at(blobs: QuerySet[Blob], *, slices: int = 1) -> Iterator[Look]:
    """Read all of `blobs`, and yield what was found at each.

    With more than one slice, only one of so many equal parts is read; which one changes every
    day, so that after so many days everything has been read.
    """
    today = timezone.now().toordinal() % slices
    for batch in _batches(blobs.select_related("upload")):
        chosen = [blob for blob in batch if blob.pk.int % slices == today]
        digests = _digests_of_artifacts([blob.pk for blob in chosen if not blob.is_content])
        known_damage = set(
            Damage.objects.filter(pk__in=[blob.pk for blob in chosen]).values_list("pk", flat=True)
        )
        yield from (Look(0, checked=False) for _ in range(len(batch) - len(chosen)))
        for blob in chosen:
            finding = _check(blob, digests.get(blob.pk))
            if finding is not None and not _still_wanted(blob):
                finding = None
            if finding is None and blob.pk in known_damage:
                damage.forget([blob.pk])
            yield Look(blob.size, True, (_noted(finding),) if finding else ())


def look_for_strays(*, grace_s: float) -> Iterator[Finding]:
    """Yield bytes without a row, and uploads without a file.

    Bytes are stored before their row is committed: none younger than `grace_s` are called stray.
    """
    ids = store().ids(older_than_s=grace_s)
    while batch := set(islice(ids, BATCH)):
        known = set(Blob.objects.filter(pk__in=batch).values_list("pk", flat=True))
        for blob_id in sorted(batch - known):
            yield _noted(Finding(Fault.ORPHANED, "row", blob_id, None))
    whole = Blob.objects.filter(is_content=True, upload__isnull=False).values("upload")
    for upload_id in Upload.objects.exclude(pk__in=whole).values_list("pk", flat=True):
        yield _noted(Finding(Fault.MISSING, "blob row", None, upload_id))


def _batches(blobs: QuerySet[Blob]) -> Iterator[list[Blob]]:
    rows = blobs.order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def _check(blob: Blob, artifact_sha256: str | None) -> Finding | None:
    """Read one blob to its end."""
    upload = blob.upload
    assert upload is not None  # noqa: S101 - see blobs_of
    fault: tuple[Fault, str] | None
    try:
        size, sha256 = _read(blob, upload)
    except Damaged as error:
        fault = Fault.DAMAGED, error.part
    except (BlobMissing, UnknownKey, StorageFailed) as error:
        fault = UNREAD[type(error)]
    else:
        expected = upload.sha256 if blob.is_content else artifact_sha256
        sizes = {blob.size, upload.size} if blob.is_content else {blob.size}
        fault = _difference(sizes == {size}, sha256, expected)
    return Finding(*fault, blob.pk, upload.pk) if fault else None


def _read(blob: Blob, upload: Upload) -> tuple[int, str]:
    """Return size and SHA-256 of the plaintext; of a file, its name must open, too."""
    digest = hashlib.sha256()
    with open_blob(blob) as content:
        for chunk in content.chunks():
            digest.update(chunk)
    if blob.is_content:
        name_of(upload)
    return content.size, digest.hexdigest()


def _difference(same_size: bool, sha256: str, expected: str | None) -> tuple[Fault, str] | None:
    if expected is None:
        return Fault.ORPHANED, "artifact row"
    if not same_size:
        return Fault.DAMAGED, "size"
    return None if sha256 == expected else (Fault.DAMAGED, "sha256")


def _still_wanted(blob: Blob) -> bool:
    """Tell whether `blob` has not been deleted while it was looked at."""
    return Blob.objects.filter(pk=blob.pk, upload__isnull=False).exists()


def _digests_of_artifacts(blob_ids: Collection[UUID]) -> dict[UUID, str]:
    """Ask the rooms above, which know what they had stored."""
    digests: dict[UUID, str] = {}
    for path in settings.BLOB_DIGESTS:
        digests |= import_string(path)(blob_ids)
    return digests


def _noted(finding: Finding) -> Finding:
    logger.log(
        logging.WARNING if finding.fault == Fault.ORPHANED else logging.ERROR,
        "verification found a fault",
        extra={
            "fault": finding.fault.value,
            "detail": finding.detail,
            "blob": str(finding.blob),
            "upload": str(finding.upload),
        },
    )
    return finding
