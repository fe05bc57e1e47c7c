"""Backups of a running system, and the way back. `docs/backup.md` is for whoever makes them.

A backup holds a snapshot of the database without its key tables, and the encrypted blobs that the
snapshot names. The keys go into a file of their own: without it a backup gives no content.
"""

from uploads.backup.archive import open_archive
from uploads.backup.errors import BackupFailed
from uploads.backup.making import Made, make_backup
from uploads.backup.restoring import Restored, restore_backup

__all__ = [
    "BackupFailed",
    "Made",
    "Restored",
    "make_backup",
    "open_archive",
    "restore_backup",
]
