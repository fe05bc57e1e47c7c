"""Brings a backup back, into an installation that holds nothing yet."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from config.startup.database import migrate
from uploads import key_store
from uploads.backup import database, keys
from uploads.backup.archive import Archive, file_pieces
from uploads.backup.errors import BackupFailed
from uploads.backup.manifest import Lookup, Manifest, blob_of_name, read_manifest, sums_of
from uploads.deletion import delete_upload, erase_again
from uploads.key_models import Erasure, OwnerKey
from uploads.management.progress import Progress
from uploads.models import Upload
from uploads.storage import store


@dataclass
class Restored:
    """What came back, and what the backup holds damaged or not at all."""

    blobs: int = 0
    keys: int = 0
    damaged: list[UUID] = field(default_factory=list)
    missing: list[UUID] = field(default_factory=list)


def restore_backup(archive: Archive, *, keys_file: Path | None, progress: Progress) -> Restored:
    """Fill this installation from `archive` and the keys that belong to it.

    Without a file of keys, the keys in their own database stay as they are. Blobs come first and
    the database last: an interrupted restore leaves an installation without a database, which
    nobody can take for a whole one. What has been erased since is erased again.

    Raises:
        BackupFailed
    """
    refuse_unless_empty()
    if keys_file is not None:
        keys.check_keys(keys_file)
        _refuse_to_mix_keys()
    elif not key_store.is_apart():
        raise BackupFailed("Without the keys nothing opens: name their file with --keys.")
    manifest = read_manifest(archive)
    _refuse_unless_known(manifest)
    restored = Restored(missing=[UUID(blob_id) for blob_id in manifest.missing])
    _bring_back_blobs(archive, manifest, restored, progress)
    if keys_file is not None:
        keys.bring_back_secrets(keys_file)
    _bring_back_database(archive, manifest)
    migrate()
    if keys_file is not None:
        restored.keys = keys.bring_back_rows(keys_file)
    erase_again()
    for upload in Upload.objects.filter(pk__in=manifest.gone):
        delete_upload(upload)
    return restored


def refuse_unless_empty() -> None:
    """Refuse to touch an installation that holds anything.

    Raises:
        BackupFailed
    """
    if next(store().ids(), None) is not None:
        raise BackupFailed(
            "The storage holds blobs already: a backup is only restored into an empty one."
        )
    if not database.is_empty():
        raise BackupFailed(
            "The database has tables already: a backup is only restored into an empty one. Set "
            "STRONGROOM_DATA_DIR to a new folder, or move away what is there."
        )


def _refuse_to_mix_keys() -> None:
    """Keys that are there already may belong to erased files; none of them may come back."""
    if not key_store.is_apart():
        return
    connection = connections[key_store.ALIAS]
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return
    if OwnerKey._meta.db_table in connection.introspection.table_names() and (
        OwnerKey.objects.exists() or Erasure.objects.exists()
    ):
        raise BackupFailed(
            "The database of the keys holds keys already. If they are those of this installation, "
            "restore without --keys: what has been erased since then stays erased."
        )


def _refuse_unless_known(manifest: Manifest) -> None:
    if manifest.vendor != connection.vendor:
        raise BackupFailed(
            f"The backup is of {manifest.vendor}, and this installation uses {connection.vendor}."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if not set(manifest.migrations) <= known:
        raise BackupFailed("A later version of Strongroom made the backup: install that one.")


def _bring_back_blobs(
    archive: Archive, manifest: Manifest, restored: Restored, progress: Progress
) -> None:
    progress.expect(manifest.blobs)
    for name, sha256 in sums_of(archive, manifest):
        blob_id = blob_of_name(name)
        if blob_id is None:
            continue
        try:
            size, found = _bring_back_blob(archive, name, blob_id)
        except KeyError:
            restored.missing.append(blob_id)
            continue
        if found != sha256:  # it stays: what of it is whole can still be read, and nothing else
            restored.damaged.append(blob_id)
        restored.blobs += 1
        progress.advance(size)


def _bring_back_blob(archive: Archive, name: str, blob_id: UUID) -> tuple[int, str]:
    """Return size and SHA-256 of what the backup holds under `name`."""
    digest, size = hashlib.sha256(), 0
    with archive.read(name) as file:
        sink = store().create(blob_id)
        try:
            for piece in file_pieces(file):
                sink.write(piece)
                digest.update(piece)
                size += len(piece)
            sink.commit()
        finally:
            sink.abort()
    return size, digest.hexdigest()


def _bring_back_database(archive: Archive, manifest: Manifest) -> None:
    partial = Path(settings.DATA_DIR) / "database.restoring"
    digest = hashlib.sha256()
    try:
        with archive.read(manifest.database) as file, partial.open("wb") as copy:
            for piece in file_pieces(file):
                copy.write(piece)
                digest.update(piece)
        if digest.hexdigest() != Lookup(sums_of(archive, manifest)).get(manifest.database):
            raise BackupFailed("The database in the backup is damaged.")
        database.bring_back(partial)
    except KeyError:
        raise BackupFailed("The backup has no database.") from None
    finally:
        partial.unlink(missing_ok=True)
