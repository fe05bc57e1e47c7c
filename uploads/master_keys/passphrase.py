"""Master keys in a file that a passphrase opens.

Each key is sealed under a key that scrypt (RFC 7914) derives from the passphrase and the salt of
the ring, bound to its id.
"""

import base64
import os
from typing import Any, ClassVar, Self

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from uploads.encryption import Damaged, seal, unseal

# 128 MiB and about half a second for each guess. Source: OWASP, Password Storage Cheat Sheet.
COST, BLOCK_SIZE, PARALLELIZATION = 2**17, 8, 1
LARGEST_COST = 2**20  # a changed file must not take all memory
SHORTEST_PASSPHRASE = 16  # characters
SALT_BYTES = 16


class Passphrase:
    """The passphrase is in STRONGROOM_MASTER_KEYS_PASSPHRASE, or in the file that `_FILE` names."""

    kind: ClassVar[str] = "passphrase"

    def __init__(self, salt: bytes, cost: int) -> None:
        passphrase = settings.UPLOADS["MASTER_KEYS_PASSPHRASE"]
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise ImproperlyConfigured(
                f"The key ring needs a passphrase of at least {SHORTEST_PASSPHRASE} characters. "
                "Set STRONGROOM_MASTER_KEYS_PASSPHRASE, or STRONGROOM_MASTER_KEYS_PASSPHRASE_FILE."
            )
        self._salt, self._cost = salt, cost
        derive = Scrypt(salt=salt, length=32, n=cost, r=BLOCK_SIZE, p=PARALLELIZATION)
        self._key = derive.derive(passphrase.encode())

    @classmethod
    def create(cls, **_: Any) -> Self:
        return cls(os.urandom(SALT_BYTES), COST)

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        cost = int(description["cost"])
        if not 2 <= cost <= LARGEST_COST:
            raise ValueError("The cost is out of range.")
        return cls(base64.b64decode(description["salt"], validate=True), cost)

    def describe(self) -> dict[str, Any]:
        return {"salt": base64.b64encode(self._salt).decode(), "cost": self._cost}

    def protect(self, key_id: str, key: bytes) -> bytes:
        return seal(key, key=self._key, context=_context(key_id))

    def reveal(self, key_id: str, protected: bytes) -> bytes:
        try:
            return unseal(protected, key=self._key, context=_context(key_id))
        except Damaged:
            raise ImproperlyConfigured(
                "The passphrase does not open the key ring. Correct "
                "STRONGROOM_MASTER_KEYS_PASSPHRASE, or restore the ring from your backup of it."
            ) from None


def _context(key_id: str) -> bytes:
    return b"master key" + key_id.encode()
