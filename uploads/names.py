"""File names, which are kept sealed under the key of their upload."""

from collections.abc import Iterable
from uuid import UUID

from uploads.encryption import seal, unseal
from uploads.keys import upload_keys
from uploads.models import Upload

# What a list shows for an upload whose key has been destroyed.
UNREADABLE = "(unreadable)"


def seal_name(name: str, *, key: bytes, upload_id: UUID) -> bytes:
    """Return `name` sealed; any string, lone surrogates of file systems included."""
    return seal(name.encode("utf-8", "surrogatepass"), key=key, context=_context(upload_id))


def names_of(uploads: Iterable[Upload]) -> dict[UUID, str]:
    """Return the names of many uploads in two queries, or in none where they are at hand."""
    names: dict[UUID, str] = {}
    sealed: dict[UUID, bytes] = {}
    for row in uploads:
        if row.name is None:
            sealed[row.pk] = bytes(row.sealed_name)
        else:
            names[row.pk] = row.name
    keys = upload_keys(sealed) if sealed else {}
    for pk, raw in sealed.items():
        names[pk] = _unseal_name(raw, keys[pk], pk) if pk in keys else UNREADABLE
    return names


def name_of(upload: Upload) -> str:
    """Return the name of one upload."""
    return names_of([upload])[upload.pk]


def _unseal_name(sealed: bytes, key: bytes, upload_id: UUID) -> str:
    raw = unseal(sealed, key=key, context=_context(upload_id))
    return raw.decode("utf-8", "surrogatepass")


def _context(upload_id: UUID) -> bytes:
    return b"name" + upload_id.bytes
