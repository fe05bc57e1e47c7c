"""The secrets of an installation: made once, kept in files that only their owner can read.

`django.key` signs sessions, `queue.key` signs queue messages, `jwt.pem` (Ed25519, PKCS 8) signs
tokens, `master-keys.json` is the key ring of the files. Four values, so that a leak of one is
not a leak of the others.
"""

import base64
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.core.exceptions import ImproperlyConfigured

from config.durable import write_private

KEY_RING = "master-keys.json"
FILES = ("django.key", "queue.key", "jwt.pem", KEY_RING)


@dataclass(frozen=True)
class Secrets:
    """What settings need; the master keys stay where they are until a blob is opened."""

    django: str
    queue: str
    jwt_private_pem: str

    def __repr__(self) -> str:
        return "Secrets(...)"


def load(folder: Path, *, without: Collection[str] = ()) -> Secrets:
    """Return the secrets in `folder`; those named by `without` are not expected there.

    Raises:
        ImproperlyConfigured: one is missing, or somebody else can read it.
    """
    for name in FILES:
        if name in without:
            continue
        path = folder / name
        if not path.is_file():
            raise ImproperlyConfigured(
                f"The secret {path} is missing. Restore it from your backup of the keys: "
                "without it, stored files cannot be opened."
            )
        if path.stat().st_mode & 0o077:
            raise ImproperlyConfigured(
                f"The secret {path} can be read by others. Run: chmod 600 {path}"
            )
    return Secrets(
        django=(folder / "django.key").read_text().strip(),
        queue=(folder / "queue.key").read_text().strip(),
        jwt_private_pem=(folder / "jwt.pem").read_text(),
    )


def create(folder: Path, *, without: Collection[str] = ()) -> None:
    """Make every secret that is not in `folder` yet; an existing one is never touched.

    Raises:
        ImproperlyConfigured: the folder cannot be written.
    """
    makers = (_random_text, _random_text, _ed25519_pem, _key_ring)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name, make in zip(FILES, makers, strict=True):
            if name not in without and not (folder / name).exists():
                write_private(folder / name, make())
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder of the keys, {folder}, cannot be written ({error.strerror}): make it "
            "writable, or set STRONGROOM_DATA_DIR to a folder that is."
        ) from None


def public_pem(private_pem: str) -> str:
    """Return the public half of an Ed25519 key, as PEM."""
    key = load_pem_private_key(private_pem.encode(), password=None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _random_text() -> str:
    return secrets.token_urlsafe(48)


def _ed25519_pem() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _key_ring() -> str:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return json.dumps({"active": "k1", "keys": {"k1": key}}, indent=2) + "\n"
