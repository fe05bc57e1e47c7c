"""The key tree of stored files: master keys wrap owner keys, owner keys wrap upload keys.

Master keys are read from their file and never enter the database. Deleting an upload key makes
every blob, name and step output of that upload unreadable; deleting an owner key does so for all
uploads of the owner.
"""

import base64
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from uploads.encryption import (
    KeyRing,
    UnknownKey,
    new_key,
    owner_context,
    unwrap_key,
    upload_context,
    wrap_key,
)
from uploads.models import OwnerKey, UploadKey


def key_ring() -> KeyRing:
    """Return the master keys, read again when their file has changed.

    Raises:
        ImproperlyConfigured: there is no key ring, or it is not one.
    """
    path = Path(settings.UPLOADS["MASTER_KEYS_FILE"])
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise ImproperlyConfigured(
            "The key ring of the files cannot be read. Restore it from your backup of the keys."
        ) from error
    return _read_key_ring(path, changed_ns)


@lru_cache(maxsize=1)
def _read_key_ring(path: Path, changed_ns: int) -> KeyRing:  # noqa: ARG001 - part of the cache key
    try:
        data = json.loads(path.read_text())
        keys = {name: base64.b64decode(key, validate=True) for name, key in data["keys"].items()}
        return KeyRing(keys, data["active"])
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without the cause: its message could quote a key.
        raise ImproperlyConfigured(
            'The key ring must be JSON: {"active": "<id>", "keys": {"<id>": "<base64, 32 bytes>"}}.'
        ) from None


def add_upload_key(upload_id: UUID, owner_id: UUID, key: bytes) -> None:
    """Keep the key of a new upload, wrapped. Call it in the transaction that makes the upload."""
    wrapped = wrap_key(
        key,
        under=owner_key(owner_id),
        context=upload_context(owner_id=owner_id, upload_id=upload_id),
    )
    UploadKey.objects.create(upload_id=upload_id, owner_id=owner_id, wrapped=wrapped)


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
    """Return the owner's key, made now if this is their first upload."""
    row = OwnerKey.objects.filter(pk=owner_id).first()
    if row is None:
        ring = key_ring()
        wrapped = ring.wrap(new_key(), context=owner_context(owner_id))
        # Two first uploads at once: whoever comes second takes the key of the first.
        row, _ = OwnerKey.objects.get_or_create(
            pk=owner_id, defaults={"wrapped": wrapped, "master_key_id": ring.active}
        )
    return _unwrap_owner_key(row)


def _unwrap_owner_key(row: OwnerKey) -> bytes:
    return key_ring().unwrap(bytes(row.wrapped), context=owner_context(row.owner_id))
