"""How uploads go: keys first, then rows, then bytes."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import transaction

from config.events.announce import announce
from uploads import quota, signals
from uploads.keys import destroy_upload_key
from uploads.models import Blob, Upload
from uploads.storage import StorageFailed, store
from uploads.tus import sessions

logger = logging.getLogger(__name__)

# Whatever is younger may belong to an upload that is still arriving.
GRACE_S = 24 * 60 * 60
BATCH = 500  # blobs looked up at once


@dataclass(frozen=True)
class Swept:
    """How much a sweep removed."""

    doomed: int
    orphans: int
    partials: int
    sessions: int


def delete_upload(upload: Upload) -> None:
    """Delete an upload with everything made of it.

    One transaction destroys its key and its rows and dooms its blobs; their bytes, unreadable by
    then, are removed after the commit, and by the next sweep where that fails.
    """
    with transaction.atomic():
        # Rows are locked from the top of the house to its bottom: a worker that ends a run holds
        # the run when it comes to the upload.
        signals.upload_deleted.send(Upload, upload=upload)
        current = Upload.objects.select_for_update().filter(pk=upload.pk).first()
        if current is None:
            return
        destroy_upload_key(current.pk)
        blob_ids = list(current.blobs.values_list("pk", flat=True))
        Blob.objects.filter(pk__in=blob_ids).update(upload=None)
        current.delete()
        quota.give_back(upload.owner_id, upload.size)
        announce(upload.owner_id, "upload.deleted", upload=upload.pk)
        transaction.on_commit(lambda: _remove_blobs(blob_ids))
    logger.info("upload deleted", extra={"upload": str(upload.pk), "blobs": len(blob_ids)})


def sweep(*, grace_s: float = GRACE_S) -> Swept:
    """Remove what was left: doomed blobs, blobs without a row, interrupted writes, old sessions.

    Nothing younger than `grace_s` is touched: its row may be about to be committed.
    """
    doomed = _remove_blobs(list(Blob.objects.filter(upload=None).values_list("pk", flat=True)))
    orphans = 0
    ids = store().ids(older_than_s=grace_s)
    while batch := set(islice(ids, BATCH)):
        known = Blob.objects.filter(pk__in=batch).values_list("pk", flat=True)
        orphans += len(_remove_bytes(batch.difference(known)))
    partials = store().sweep_partials(older_than_s=grace_s)
    expired = sessions.sweep(grace_s=grace_s)
    return Swept(doomed=doomed, orphans=orphans, partials=partials, sessions=expired)


def _remove_blobs(blob_ids: Collection[UUID]) -> int:
    removed = _remove_bytes(blob_ids)
    Blob.objects.filter(pk__in=removed, upload=None).delete()
    return len(removed)


def _remove_bytes(blob_ids: Collection[UUID]) -> list[UUID]:
    """Remove what can be removed now, and return it; the rest waits for the next sweep."""
    removed = []
    for blob_id in blob_ids:
        try:
            store().remove(blob_id)
        except StorageFailed:
            logger.warning("blob not removed yet", extra={"blob": str(blob_id)})
            continue
        removed.append(blob_id)
    return removed
