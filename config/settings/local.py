"""Embedded defaults: SQLite, local storage, keys that the first start made. For `make up`."""

from config import secrets
from config.secrets import public_pem
from config.settings.base import *  # noqa: F403
from config.settings.base import DATA_DIR, SIMPLE_JWT, UPLOADS

KEYS_DIR = DATA_DIR / "keys"

# A key ring that is kept elsewhere is neither made nor expected here.
_kept_here = (
    UPLOADS["MASTER_KEYS_FILE"] == KEYS_DIR / secrets.KEY_RING and not UPLOADS["MASTER_KEYS_JSON"]
)
_without = () if _kept_here else (secrets.KEY_RING,)

if not any((DATA_DIR / name).exists() for name in ("strongroom.sqlite3", "blobs")):
    # Only into an empty house: never a new key beside old files.
    secrets.create(KEYS_DIR, without=_without)
_secrets = secrets.load(KEYS_DIR, without=_without)

SECRET_KEY = _secrets.django
QUEUE_SIGNING_KEY = _secrets.queue
SIMPLE_JWT["SIGNING_KEY"] = _secrets.jwt_private_pem
SIMPLE_JWT["VERIFYING_KEY"] = public_pem(_secrets.jwt_private_pem)
