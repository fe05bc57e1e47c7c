"""Back up the database and all blobs of a running system."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from uploads.backup import BackupFailed, make_backup, open_archive
from uploads.management.progress import Progress
from uploads.storage import StorageFailed


class Command(BaseCommand):
    help = (
        "Back up the database, without its keys, and all blobs. A folder takes only what is new "
        "since the last time; a file whose name ends in .tar is made anew. Ends with 1 if a blob "
        "is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", type=Path, metavar="FOLDER|FILE.tar")
        parser.add_argument(
            "--keys",
            type=Path,
            metavar="FILE",
            help="write the keys to this file, which belongs elsewhere: with both, everything "
            "can be read, and with the backup alone nothing",
        )

    def handle(self, **options: Any) -> None:
        target: Path = options["target"].absolute()
        keys: Path | None = options["keys"] and options["keys"].absolute()
        if keys is None:
            self.stderr.write("Without --keys, this backup alone cannot be restored.")
        elif keys.is_relative_to(target):
            raise CommandError("The keys must not lie inside the backup: name another place.")
        try:
            with open_archive(target, for_writing=True) as archive, Progress("backup") as progress:
                made = make_backup(archive, keys=keys, progress=progress)
        except (BackupFailed, StorageFailed, OSError) as error:
            raise CommandError(f"No backup was made: {error}", returncode=2) from error
        self.stdout.write(
            f"{made.blobs} blobs, {made.bytes} bytes; {made.copied} blobs are new. "
            f"{len(made.gone)} uploads were deleted meanwhile."
        )
        for blob_id in made.missing:
            self.stdout.write(f"missing    blob {blob_id}")
        sys.exit(1 if made.missing else 0)
