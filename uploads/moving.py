"""Moves blobs from one storage backend to another while the system serves.

A blob is copied, the copy is read back and compared, and only then the old one is removed. Until
then it is read from the old place, afterwards from the new one, so that a kill at any moment
leaves every blob in at least one place; whoever runs this again copies it anew.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from uuid import UUID

from uploads.models import Blob
from uploads.storage import BlobMissing, StorageFailed, Store, Stored, pieces_of

BATCH = 500


def move_blobs(sources: list[Store], target: Store) -> Iterator[int]:
    """Move what lies in `sources`, and yield the size of every moved blob.

    Bytes without a row stay: they are about to get one, and a later move finds them, or
    `manage.py gc` does.

    Raises:
        StorageFailed: a copy differs. The old one is where it was.
    """
    for source in sources:
        ids = source.ids()
        while batch := list(islice(ids, BATCH)):
            live = Blob.objects.filter(pk__in=batch, upload__isnull=False)
            for blob_id in live.values_list("pk", flat=True):
                try:
                    yield _move(blob_id, source, target)
                except BlobMissing:
                    if _is_live(blob_id):
                        raise


def _move(blob_id: UUID, source: Store, target: Store) -> int:
    with closing(source.open(blob_id)) as original:
        size, sha256 = _copy(original, blob_id, target)
    with closing(target.open(blob_id)) as copy:
        if _digest_of(copy) != sha256:
            target.remove(blob_id)
            raise StorageFailed
    if not _is_live(blob_id):
        # It was deleted, perhaps before there was a copy to remove.
        target.remove(blob_id)
    source.remove(blob_id)
    return size


def _is_live(blob_id: UUID) -> bool:
    return Blob.objects.filter(pk=blob_id, upload__isnull=False).exists()


def _copy(original: Stored, blob_id: UUID, target: Store) -> tuple[int, str]:
    """Return size and SHA-256 of the bytes that were copied."""
    digest = hashlib.sha256()
    sink = target.create(blob_id)
    try:
        for piece in pieces_of(original):
            digest.update(piece)
            sink.write(piece)
        sink.commit()
    finally:
        sink.abort()
    return original.size, digest.hexdigest()


def _digest_of(stored: Stored) -> str:
    digest = hashlib.sha256()
    for piece in pieces_of(stored):
        digest.update(piece)
    return digest.hexdigest()
