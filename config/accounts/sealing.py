"""Small secrets of accounts, encrypted in database columns.

AES-256-GCM with a random nonce; the key is derived by HKDF-SHA-256 from Django's secret key, so
that it needs no custody of its own. Losing it costs users a new enrolment, never a file.
"""

import base64
import os
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

PURPOSE = b"strongroom account secrets v1"
NONCE_BYTES = 12


def encrypt(text: str) -> str:
    """Return `text` sealed, as URL-safe base64."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.urlsafe_b64encode(
        nonce + AESGCM(_key(settings.SECRET_KEY)).encrypt(nonce, text.encode(), PURPOSE)
    ).decode()


def decrypt(sealed: str) -> str:
    """Return what was sealed, under Django's secret key of now or an earlier one.

    Raises:
        cryptography.exceptions.InvalidTag: changed, or sealed under another key.
    """
    raw = base64.urlsafe_b64decode(sealed)
    *earlier, last = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    for secret in earlier:
        with suppress(InvalidTag):
            return _open(raw, secret)
    return _open(raw, last)


def _open(raw: bytes, secret: str | bytes) -> str:
    return AESGCM(_key(secret)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], PURPOSE).decode()


def _key(secret: str | bytes) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE)
    return derive.derive(force_bytes(secret))
