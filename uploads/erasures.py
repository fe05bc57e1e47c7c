"""Erasure: keys are destroyed, and that this happened is kept.

Each function commits on its own, where keys have a database of their own; otherwise it belongs to
the transaction of its caller.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db import router, transaction
from django.utils import timezone

from config.accounts.models import User
from uploads.key_models import Erasure, OwnerKey, UploadKey
from uploads.models import Upload, UploadSession

BATCH = 500


@dataclass(frozen=True)
class Cause:
    """Who asked for an erasure, if it was a user, and where."""

    via: Erasure.Via
    by: UUID | None = None


SYSTEM = Cause(Erasure.Via.SYSTEM)


def erase_upload(upload: Upload, cause: Cause) -> UUID:
    """Destroy the key of an upload; return the id of the record of that."""
    with transaction.atomic(using=router.db_for_write(Erasure)):
        destroyed, _ = UploadKey.objects.filter(pk=upload.pk).delete()
        return _record(Erasure.Kind.UPLOAD, upload.pk, upload.owner_id, cause, destroyed)


def erase_owner(owner_id: UUID, cause: Cause) -> UUID:
    """Destroy the key of an owner and of all their uploads; return the id of the record."""
    with transaction.atomic(using=router.db_for_write(Erasure)):
        owner_keys, _ = OwnerKey.objects.filter(pk=owner_id).delete()
        upload_keys, _ = UploadKey.objects.filter(owner_id=owner_id).delete()
        destroyed = owner_keys + upload_keys
        return _record(Erasure.Kind.USER, owner_id, owner_id, cause, destroyed)


def close(erasure_ids: Collection[UUID]) -> None:
    """Note that nothing is left of what these erased."""
    for batch in batches(erasure_ids):
        Erasure.objects.filter(pk__in=batch, done_at=None).update(done_at=timezone.now())


def sweep_keys(*, grace_s: float) -> int:
    """Destroy the keys of what never became an upload; return how many.

    A key is made with its upload or its upload session, or a moment before: none younger than
    `grace_s` is touched.
    """
    old = UploadKey.objects.filter(made_at__lte=timezone.now() - timedelta(seconds=grace_s))
    swept = 0
    for batch in batches(list(old.values_list("pk", flat=True))):
        wanted = {
            *Upload.objects.filter(pk__in=batch).values_list("pk", flat=True),
            *UploadSession.objects.filter(upload_id__in=batch).values_list("upload_id", flat=True),
        }
        destroyed, _ = UploadKey.objects.filter(pk__in=set(batch) - wanted).delete()
        swept += destroyed
    return swept


def users_left() -> Iterator[User]:
    """Yield the users whose erasure is on record and who are there all the same."""
    subjects = Erasure.objects.filter(kind=Erasure.Kind.USER).order_by("pk")
    for batch in batches(subjects.values_list("subject_id", flat=True)):
        yield from User.objects.filter(pk__in=batch)


def batches(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    """Yield all of `ids`, so many at once as one query may name."""
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _record(
    kind: Erasure.Kind, subject_id: UUID, owner_id: UUID, cause: Cause, destroyed: int
) -> UUID:
    """Keep the record; what is erased again has its first record opened again."""
    first = Erasure.objects.filter(kind=kind, subject_id=subject_id).first()
    if first is not None:
        Erasure.objects.filter(pk=first.pk).update(done_at=None)
        return first.pk
    record = Erasure.objects.create(
        kind=kind,
        subject_id=subject_id,
        owner_id=owner_id,
        by_id=cause.by,
        via=cause.via,
        keys_destroyed=destroyed,
        erased_at=timezone.now(),
    )
    return record.pk
