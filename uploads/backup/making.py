"""Makes a backup while the system serves.

The order is what makes it consistent. The database is copied first: its snapshot says what there
is. Keys come next, so that every upload of the snapshot has its key, unless it was deleted since.
Then blobs, which never change. At last it is asked which uploads were deleted meanwhile; they are
noted, and a restore deletes them again. So a backup holds what existed at the snapshot, without
what was deleted until the end.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.db import connection
from django.utils import timezone

from uploads.backup.archive import Archive, file_pieces
from uploads.backup.database import Snapshot, applied_migrations, take_snapshot
from uploads.backup.keys import write_keys
from uploads.backup.manifest import (
    MANIFEST,
    Lookup,
    Manifest,
    name_of_blob,
    read_manifest,
    sums_of,
    write_manifest,
)
from uploads.management.progress import Progress
from uploads.models import Blob, Upload
from uploads.storage import BlobMissing, pieces_of, store

BATCH = 500


@dataclass
class Made:
    """What a backup holds, and what it could not get."""

    blobs: int = 0
    bytes: int = 0
    copied: int = 0
    gone: list[UUID] = field(default_factory=list)
    missing: list[UUID] = field(default_factory=list)


def make_backup(archive: Archive, *, keys: Path | None, progress: Progress) -> Made:
    """Bring `archive` up to date, and write the keys to another file, if one is named.

    An earlier backup in the archive counts until the new one is whole.

    Raises:
        BackupFailed
    """
    stamp = timezone.now()
    label = stamp.strftime("%Y%m%dt%H%M%S%fz")
    names = f"state/database-{label}", f"state/sha256sums-{label}"
    made = Made()
    with _scratch(archive, "database") as copy_of_database, _scratch(archive, "sums") as sums:
        snapshot = take_snapshot(copy_of_database)
        migrations = applied_migrations()
        if keys is not None:
            write_keys(keys)
        with sums.open("w", encoding="ascii") as lines:
            for name, sha256 in _copy_blobs(archive, snapshot, made, progress):
                lines.write(f"{sha256}  {name}\n")
            lines.write(f"{_copy_file(archive, names[0], snapshot.path)}  {names[0]}\n")
        sums_sha256 = _copy_file(archive, names[1], sums)
    made.gone = _no_longer_there(snapshot.upload_ids)
    _settle_missing(made)
    manifest = Manifest(
        made_at=stamp.isoformat(),
        vendor=connection.vendor,
        database=names[0],
        sums=names[1],
        sums_sha256=sums_sha256,
        blobs=made.blobs,
        bytes=made.bytes,
        migrations=migrations,
        gone=[str(upload_id) for upload_id in made.gone],
        missing=[str(blob_id) for blob_id in made.missing],
    )
    write_manifest(archive, manifest)
    if archive.keeps_earlier:
        _remove_outdated(archive, manifest)
    return made


def _copy_blobs(
    archive: Archive, snapshot: Snapshot, made: Made, progress: Progress
) -> Iterator[tuple[str, str]]:
    """Copy what is new; yield name and SHA-256 of every blob, in the order of names."""
    progress.expect(len(snapshot.blob_ids))
    earlier = Lookup(_sums_of_earlier(archive))
    for blob_id in snapshot.blob_ids:
        name = name_of_blob(blob_id)
        try:
            with closing(store().open(blob_id)) as stored:
                size = stored.size
                sha256 = earlier.get(name)
                if sha256 is None or archive.size_of(name) != size:
                    sha256 = _copy(archive, name, pieces_of(stored), size)
                    made.copied += 1
        except BlobMissing:
            made.missing.append(blob_id)
            continue
        made.blobs += 1
        made.bytes += size
        progress.advance(size)
        yield name, sha256


def _copy_file(archive: Archive, name: str, path: Path) -> str:
    with path.open("rb") as file:
        return _copy(archive, name, file_pieces(file), path.stat().st_size)


def _copy(archive: Archive, name: str, content: Iterator[bytes], size: int) -> str:
    """Copy `content`; return its SHA-256 in hex."""
    digest = hashlib.sha256()

    def seen() -> Iterator[bytes]:
        for piece in content:
            digest.update(piece)
            yield piece

    archive.write(name, seen(), size)
    return digest.hexdigest()


@contextmanager
def _scratch(archive: Archive, name: str) -> Iterator[Path]:
    """Yield the path of a file that does not outlive the backup."""
    path = archive.room() / f"{name}.scratch"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sums_of_earlier(archive: Archive) -> Iterator[tuple[str, str]]:
    if archive.keeps_earlier and archive.size_of(MANIFEST) is not None:
        yield from sums_of(archive, read_manifest(archive))


def _no_longer_there(upload_ids: list[UUID]) -> list[UUID]:
    gone: list[UUID] = []
    rest = iter(upload_ids)
    while batch := list(islice(rest, BATCH)):
        there = set(Upload.objects.filter(pk__in=batch).values_list("pk", flat=True))
        gone += (upload_id for upload_id in batch if upload_id not in there)
    return gone


def _settle_missing(made: Made) -> None:
    """Keep as missing only what nobody has deleted."""
    wanted = Blob.objects.filter(pk__in=made.missing, upload__isnull=False)
    made.missing = list(wanted.values_list("pk", flat=True))


def _remove_outdated(archive: Archive, manifest: Manifest) -> None:
    """Remove what the manifest does not name: deleted blobs, and what interrupted backups left."""
    named = Lookup(sums_of(archive, manifest))
    for name in archive.names("blobs"):
        if named.get(name) is None:
            archive.remove(name)
    for name in archive.names("state"):
        if name not in (manifest.database, manifest.sums):
            archive.remove(name)
