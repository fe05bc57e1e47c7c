"""What must work so that files can be taken in and given out."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from config.health import Health

LEAST_FREE_BYTES = 256 * 1024**2  # below it, the database itself may soon fail to commit


def storage() -> Health:
    """Write something to the storage, durably, and remove it."""
    path = _blobs_dir() / f"{uuid4().hex}.probe"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"ready?")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return Health.FAILED
    finally:
        with suppress(OSError):
            path.unlink()
    return Health.OK


def disk() -> Health:
    """Ask whether the storage has room left."""
    try:
        free = shutil.disk_usage(_blobs_dir()).free
    except OSError:
        return Health.FAILED
    return Health.OK if free >= LEAST_FREE_BYTES else Health.FAILED


def scanner() -> Health:
    """There is no scanner for malware: files are not checked by one."""
    return Health.NOT_INSTALLED


def _blobs_dir() -> Path:
    return Path(settings.UPLOADS["BLOBS_DIR"])
