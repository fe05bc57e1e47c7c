"""The key tree: a master key wraps owner keys, an owner key wraps upload keys.

An upload key wraps the data key of each of its blobs (`envelope`) and seals its values
(`sealing`). A wrapped key is sealed under a label of its own, so that it never opens as a
value, nor a value as a key.
"""

import os
import re
from collections.abc import Mapping
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from uploads.encryption.errors import Damaged, UnknownKey
from uploads.encryption.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    cipher_of,
    seal_under,
    unseal_under,
)

WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES

_KEY_LABEL = b"strongroom key 1\0"
_MASTER_LABEL = b"strongroom master 1\0"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def new_key() -> bytes:
    """Return 32 random bytes."""
    return os.urandom(KEY_BYTES)


def owner_context(owner_id: UUID) -> bytes:
    """Return the context under which a master key wraps the key of an owner."""
    return b"owner" + owner_id.bytes


def upload_context(*, owner_id: UUID, upload_id: UUID) -> bytes:
    """Return the context under which an owner key wraps the key of an upload."""
    return b"upload" + owner_id.bytes + upload_id.bytes


def wrap_key(key: bytes, *, under: bytes, context: bytes) -> bytes:
    """Return `key` wrapped under another key, both of 32 bytes, as 60 bytes."""
    return _wrap(cipher_of(under), key, context=_KEY_LABEL + context)


def unwrap_key(wrapped: bytes, *, under: bytes, context: bytes) -> bytes:
    """Return the key that `wrap_key` wrapped.

    Raises:
        Damaged: `under`, `context` or a byte is not the one of the wrapping.
    """
    return unseal_under(cipher_of(under), wrapped, context=_KEY_LABEL + context, part="wrapped_key")


class KeyRing:
    """All master keys by id (1 to 64 of `A-Z a-z 0-9 . _ -`), one of them active.

    Holds ciphers, not keys: neither its repr nor its attributes show key bytes. A wrapped key
    is `length of the id (1 byte) | id | nonce (12) | ciphertext (32) | tag (16)`.
    """

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        if not all(_KEY_ID.fullmatch(key_id) for key_id in keys):
            raise ValueError("The id of a master key has 1 to 64 letters, digits, '.', '_', '-'.")
        if active not in keys:
            raise ValueError("The key ring has no master key of the active id.")
        self._ciphers = {key_id: cipher_of(key) for key_id, key in keys.items()}
        self._active = active

    def __repr__(self) -> str:
        return f"KeyRing(active={self.active!r}, ids={self.ids!r})"

    @property
    def active(self) -> str:
        """Return the id of the master key that wraps from now on."""
        return self._active

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all master keys, sorted."""
        return tuple(sorted(self._ciphers))

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return `key` (32 bytes) wrapped under the active master key."""
        head = bytes([len(self._active)]) + self._active.encode("ascii")
        return head + _wrap(
            self._ciphers[self._active], key, context=_MASTER_LABEL + head + context
        )

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the key that `wrap` wrapped, now or under an earlier active master key.

        Raises:
            UnknownKey: the ring has no master key of that id.
            Damaged: the master key, `context` or a byte is not the one of the wrapping.
        """
        key_id = self.key_id(wrapped)
        if key_id not in self._ciphers:
            raise UnknownKey
        head, sealed = wrapped[: 1 + len(key_id)], wrapped[1 + len(key_id) :]
        return unseal_under(
            self._ciphers[key_id],
            sealed,
            context=_MASTER_LABEL + head + context,
            part="wrapped_key",
        )

    def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the same key wrapped under the active master key; raises as `unwrap`."""
        return self.wrap(self.unwrap(wrapped, context=context), context=context)

    @staticmethod
    def key_id(wrapped: bytes) -> str:
        """Return the id of the master key that wrapped `wrapped`, in the ring or not.

        Raises:
            Damaged: `wrapped` has not the form of a wrapped key.
        """
        key_id = wrapped[1:-WRAPPED_BYTES].decode("latin-1")
        if not _KEY_ID.fullmatch(key_id) or wrapped[0] != len(key_id):
            raise Damaged("wrapped_key")
        return key_id


def _wrap(cipher: AESGCM, key: bytes, *, context: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("A key has 32 bytes.")
    return seal_under(cipher, key, context=context)
