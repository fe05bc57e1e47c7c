"""Bring a backup back, into an installation that holds nothing yet."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from uploads.backup import BackupFailed, open_archive, restore_backup
from uploads.management.progress import Progress
from uploads.storage import StorageFailed


class Command(BaseCommand):
    help = (
        "Bring a backup back, into an empty installation. Ends with 1 if the backup holds a blob "
        "damaged or not at all; everything else is restored then."
    )
    requires_system_checks: list[str] = []  # there is no database yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, metavar="FOLDER|FILE.tar")
        parser.add_argument(
            "--keys",
            type=Path,
            metavar="FILE",
            help="needed unless the keys are in a database of their own, which is there still",
        )

    def handle(self, **options: Any) -> None:
        source = options["source"].absolute()
        try:
            with (
                open_archive(source, for_writing=False) as archive,
                Progress("restore") as progress,
            ):
                restored = restore_backup(archive, keys_file=options["keys"], progress=progress)
        except (BackupFailed, StorageFailed, OSError) as error:
            raise CommandError(f"The backup was not restored: {error}", returncode=2) from error
        self.stdout.write(f"{restored.blobs} blobs and {restored.keys} keys are back.")
        for blob_id in restored.damaged:
            self.stdout.write(f"damaged    blob {blob_id}")
        for blob_id in restored.missing:
            self.stdout.write(f"missing    blob {blob_id}")
        self.stdout.write("Now run `manage.py verify`.")
        sys.exit(1 if restored.damaged or restored.missing else 0)
