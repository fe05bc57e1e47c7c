"""What must work so that files can be taken in."""

import shutil
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from config.health import Health
from uploads.folder_models import FolderState
from uploads.storage import store

LEAST_FREE_BYTES = 256 * 1024**2  # below it, the database itself may soon fail to commit

SWEPT_WITHIN = timedelta(minutes=3)  # six sweeps, or one that was held up by large files


def storage() -> Health:
    """Store a few bytes, durably, and remove them; what fails is raised."""
    blob_id = uuid4()
    sink = store().create(blob_id)
    try:
        sink.write(b"ready?")
        sink.commit()
    finally:
        sink.abort()
    store().remove(blob_id)
    return Health.OK


def disk() -> Health:
    """Ask whether there is room left for files and for the database."""
    folders = [settings.DATA_DIR, Path(settings.UPLOADS["BLOBS_DIR"])]
    free = min(shutil.disk_usage(folder).free for folder in folders if folder.exists())
    return Health.OK if free >= LEAST_FREE_BYTES else Health.FAILED


def drop_folders() -> Health:
    """Ask whether the watcher looks after the drop folders. All other doors do without it."""
    seen_at = FolderState.objects.aggregate(at=Max("seen_at"))["at"]
    if seen_at is None:
        return Health.NOT_INSTALLED
    if FolderState.objects.exclude(problem="").exists():
        return Health.DEGRADED
    return Health.OK if timezone.now() - seen_at < SWEPT_WITHIN else Health.DEGRADED
