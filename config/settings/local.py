"""Embedded defaults: SQLite, local storage, keys that the first start made. For `make up`."""

from config import secrets
from config.secrets import public_pem
from config.settings.base import *  # noqa: F403
from config.settings.base import DATA_DIR, SIMPLE_JWT

KEYS_DIR = DATA_DIR / "keys"

if not any((DATA_DIR / name).exists() for name in ("strongroom.sqlite3", "blobs")):
    secrets.create(KEYS_DIR)  # only into an empty house: never a new key beside old files
_secrets = secrets.load(KEYS_DIR)

SECRET_KEY = _secrets.django
QUEUE_SIGNING_KEY = _secrets.queue
SIMPLE_JWT["SIGNING_KEY"] = _secrets.jwt_private_pem
SIMPLE_JWT["VERIFYING_KEY"] = public_pem(_secrets.jwt_private_pem)
