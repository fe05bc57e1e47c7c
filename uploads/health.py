"""What must work so that files can be taken in."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Max, Q
from django.utils import timezone

from config.health import Finding, Health
from uploads.folder_models import FolderState
from uploads.key_models import OwnerKey
from uploads.master_keys import current, document
from uploads.storage import store

logger = logging.getLogger(__name__)

LEAST_FREE_BYTES = 256 * 1024**2  # below it, the database itself may soon fail to commit

MOST_NAMED = 10  # master keys that are missing

SWEPT_WITHIN = timedelta(minutes=3)  # six sweeps, or one that was held up by large files


def storage() -> Finding:
    """Store a few bytes, durably, and remove them; what fails is raised."""
    blob_id = uuid4()
    sink = store().create(blob_id)
    try:
        sink.write(b"ready?")
        sink.commit()
    finally:
        sink.abort()
    store().remove(blob_id)
    return Finding(Health.OK, {"storages": ", ".join(settings.UPLOADS["STORAGE"])})


def disk() -> Finding:
    """Ask whether there is room left for files and for the database."""
    folders = [settings.DATA_DIR, Path(settings.UPLOADS["BLOBS_DIR"])]
    disks = [shutil.disk_usage(folder) for folder in folders if folder.exists()]
    fullest = min(disks, key=lambda disk: disk.free)
    health = Health.OK if fullest.free >= LEAST_FREE_BYTES else Health.FAILED
    return Finding(health, {"free_bytes": fullest.free, "total_bytes": fullest.total})


def keys() -> Finding:
    """Ask whether the key ring opens, and has every master key under which something lies."""
    try:
        ring, custody = current(), document().custody
    except ImproperlyConfigured:
        logger.exception("key ring does not open")
        return Finding(Health.FAILED)
    strangers = OwnerKey.objects.exclude(master_key_id__in=ring.ids)
    missing = list(strangers.values_list("master_key_id", flat=True).distinct()[:MOST_NAMED])
    return Finding(
        Health.DEGRADED if missing else Health.OK,
        {
            "active_master_key": ring.active,
            "master_keys": len(ring.ids),
            "custody": custody.kind,
            "missing_master_keys": ", ".join(missing),
        },
    )


def drop_folders() -> Finding:
    """Ask whether the watcher looks after the drop folders. All other doors do without it."""
    found = FolderState.objects.aggregate(
        seen_at=Max("seen_at"), folders=Count("pk"), troubled=Count("pk", filter=~Q(problem=""))
    )
    if found["seen_at"] is None:
        return Finding(Health.NOT_INSTALLED)
    is_well = not found["troubled"] and timezone.now() - found["seen_at"] < SWEPT_WITHIN
    return Finding(
        Health.OK if is_well else Health.DEGRADED,
        {
            "folders": found["folders"],
            "folders_with_problems": found["troubled"],
            "swept_at": found["seen_at"],
        },
    )
