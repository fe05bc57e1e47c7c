"""AES-256-GCM over values that fit in memory: nonce (12 bytes), ciphertext, tag (16 bytes).

The nonce is random, so one key may seal 2^32 values (NIST SP 800-38D, section 8.3).
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from uploads.encryption.errors import Damaged, Part

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_VALUE_LABEL = b"strongroom value 1\0"


def cipher_of(key: bytes) -> AESGCM:
    """Return AES-256-GCM under `key`; shorter keys, which AES also takes, are a ValueError."""
    if len(key) != KEY_BYTES:
        raise ValueError("A key has 32 bytes.")
    return AESGCM(key)


def seal_under(cipher: AESGCM, plaintext: bytes, *, context: bytes) -> bytes:
    """Return `plaintext` sealed, openable only with the same `context`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, context)


def unseal_under(cipher: AESGCM, sealed: bytes, *, context: bytes, part: Part) -> bytes:
    """Return what `seal_under` sealed.

    Raises:
        Damaged: with `part`; the key, the context or a byte is not the one of the sealing.
    """
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise Damaged(part)
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise Damaged(part) from None


def seal(plaintext: bytes, *, key: bytes, context: bytes) -> bytes:
    """Return `plaintext` sealed under `key` (32 bytes), 28 bytes longer.

    `context` says what the value is and whose; it is not stored, and a value moved to
    another context does not open.
    """
    return seal_under(cipher_of(key), plaintext, context=_VALUE_LABEL + context)


def unseal(sealed: bytes, *, key: bytes, context: bytes) -> bytes:
    """Return what `seal` sealed under the same `key` and `context`.

    Raises:
        Damaged: at any other key, context or byte.
    """
    return unseal_under(cipher_of(key), sealed, context=_VALUE_LABEL + context, part="sealed_value")
