"""What stands before the payload of a blob: whose it is, and its data key, wrapped.

Layout, 120 bytes: magic "STRONGROOM" (10), format version (2), upload, owner and blob id
(16 each), wrapped data key (60). The first 60 are the context of the wrapped key, and all
120 are associated data of the payload: nothing of it can be changed or exchanged.
"""

import struct
from dataclasses import dataclass
from uuid import UUID

from uploads.encryption.errors import Damaged
from uploads.encryption.keys import WRAPPED_BYTES, unwrap_key, wrap_key

MAGIC = b"STRONGROOM"
VERSION = 1

_NAMES = struct.Struct(">10sH16s16s16s")
ENVELOPE_BYTES = _NAMES.size + WRAPPED_BYTES


@dataclass(frozen=True)
class BlobIds:
    """Whose bytes a blob holds: a blob moved under other ids does not open."""

    upload_id: UUID
    owner_id: UUID
    blob_id: UUID

    def names(self) -> bytes:
        """Return the first 60 bytes of the envelope of this blob."""
        return _NAMES.pack(
            MAGIC, VERSION, self.upload_id.bytes, self.owner_id.bytes, self.blob_id.bytes
        )


def make_envelope(data_key: bytes, *, upload_key: bytes, ids: BlobIds) -> bytes:
    """Return the envelope of a new blob."""
    names = ids.names()
    return names + wrap_key(data_key, under=upload_key, context=names)


def open_envelope(envelope: bytes, *, upload_key: bytes, ids: BlobIds) -> bytes:
    """Return the data key.

    Raises:
        Damaged: another format or version, other ids, another upload key, or changed bytes.
    """
    names, wrapped = envelope[: _NAMES.size], envelope[_NAMES.size :]
    if names != ids.names():
        raise Damaged("envelope")
    return unwrap_key(wrapped, under=upload_key, context=names)
