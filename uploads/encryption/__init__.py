"""Encrypted blobs and the keys over them. Pure: knows no Django, no file and no database.

The bytes are described in `docs/encryption-format.md`.
"""

from uploads.encryption.blobs import HEAD_BYTES, SEGMENT_BYTES, BlobReader, BlobWriter
from uploads.encryption.errors import Damaged, UnknownKey
from uploads.encryption.keys import (
    KeyRing,
    new_key,
    owner_context,
    unwrap_key,
    upload_context,
    wrap_key,
)
from uploads.encryption.sealing import seal, unseal

__all__ = [
    "HEAD_BYTES",
    "SEGMENT_BYTES",
    "BlobReader",
    "BlobWriter",
    "Damaged",
    "KeyRing",
    "UnknownKey",
    "new_key",
    "owner_context",
    "seal",
    "unseal",
    "unwrap_key",
    "upload_context",
    "wrap_key",
]
