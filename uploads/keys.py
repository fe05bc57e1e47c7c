"""The key tree of stored files: master keys wrap owner keys, owner keys wrap upload keys.

Master keys (`uploads.master_keys`) never enter the database. Deleting an upload key makes
every blob, name and step output of that upload unreadable; deleting an owner key does so for all
uploads of the owner.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import router, transaction

from config.prepared import Prepared
from config.rows import insert
from uploads.encryption import (
    KeyRing,
    UnknownKey,
    new_key,
    owner_context,
    unwrap_key,
    upload_context,
    wrap_key,
)
from uploads.key_models import OwnerKey, UploadKey
from uploads.master_keys import current

_OWNER_KEY = Prepared(OwnerKey, lambda owner: OwnerKey.objects.filter(pk=owner))


def key_ring() -> KeyRing:
    """Return the master keys as they are now.

    Raises:
        ImproperlyConfigured: there is no key ring, or it does not open.
    """
    return current()


def add_upload_key(
    upload_id: UUID, owner_id: UUID, key: bytes, *, under: bytes | None = None
) -> None:
    """Keep the key of a new upload, wrapped. Call it in the transaction that makes the upload.

    `under` is the owner's key, where it is at hand.
    """
    wrapped = wrap_key(
        key,
        under=under or owner_key(owner_id),
        context=upload_context(owner_id=owner_id, upload_id=upload_id),
    )
    insert([UploadKey(upload_id=upload_id, owner_id=owner_id, wrapped=wrapped)])


def upload_key(upload_id: UUID) -> bytes:
    """Return the key of an upload.

    Raises:
        UnknownKey: it has been destroyed, or its master key is not in the key ring.
    """
    keys = upload_keys([upload_id])
    if upload_id not in keys:
        raise UnknownKey
    return keys[upload_id]


def upload_keys(upload_ids: Iterable[UUID]) -> dict[UUID, bytes]:
    """Return the keys of many uploads in two queries; destroyed ones are missing."""
    rows = list(UploadKey.objects.filter(pk__in=list(upload_ids)))
    owners = {
        row.owner_id: _unwrap_owner_key(row)
        for row in OwnerKey.objects.filter(pk__in={row.owner_id for row in rows})
    }
    return {
        row.upload_id: unwrap_key(
            bytes(row.wrapped),
            under=owners[row.owner_id],
            context=upload_context(owner_id=row.owner_id, upload_id=row.upload_id),
        )
        for row in rows
        if row.owner_id in owners
    }


def destroy_upload_key(upload_id: UUID) -> None:
    """Make everything of an upload unreadable."""
    UploadKey.objects.filter(pk=upload_id).delete()


def owner_key(owner_id: UUID) -> bytes:
    """Return the owner's key, made now if this is the first thing to be sealed for them."""
    for row in _OWNER_KEY(owner=owner_id):
        return _unwrap_owner_key(row)
    return _make_owner_key(owner_id)


def kept_owner_key(owner_id: UUID) -> bytes:
    """Return the owner's key, to open what was sealed under it.

    Raises:
        UnknownKey: it has been destroyed, or its master key is not in the key ring.
    """
    for row in _OWNER_KEY(owner=owner_id):
        return _unwrap_owner_key(row)
    raise UnknownKey


def _make_owner_key(owner_id: UUID) -> bytes:
    """Wrap a new key under the master key that is active when its row is committed.

    It is asked for again once the row is written. A rotation that began before that, and looks
    for rows under the old key after it, waits for this transaction; one that began later is seen
    here. So no row can slip in under a master key that has been found to be no longer needed.
    """
    ring, key, context = key_ring(), new_key(), owner_context(owner_id)
    wrapped = ring.wrap(key, context=context)
    with transaction.atomic(using=router.db_for_write(OwnerKey)):
        # Two first uploads at once: whoever comes second takes the key of the first.
        row, made = OwnerKey.objects.get_or_create(
            pk=owner_id, defaults={"wrapped": wrapped, "master_key_id": ring.active}
        )
        if not made:
            return _unwrap_owner_key(row)
        now = key_ring()
        if now.active != ring.active:
            row.wrapped, row.master_key_id = now.wrap(key, context=context), now.active
            row.save(update_fields=["wrapped", "master_key_id"])
        return key


def _unwrap_owner_key(row: OwnerKey) -> bytes:
    return key_ring().unwrap(bytes(row.wrapped), context=owner_context(row.owner_id))
