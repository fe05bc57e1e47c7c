"""Move all blobs to one of the configured storage backends, while the system serves."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from uploads.management.progress import Progress
from uploads.models import Blob
from uploads.moving import move_blobs
from uploads.storage import BlobMissing, StorageFailed, StorageFull, stores


class Command(BaseCommand):
    help = (
        "Move all blobs to one of the backends that STRONGROOM_STORAGE names. Each copy is "
        "verified before the old one is removed; run it again after an interruption."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", required=True, metavar="NAME")

    def handle(self, **options: Any) -> None:
        backends = stores()
        first = next(iter(backends))
        target = backends.pop(options["to"], None)
        if target is None:
            raise CommandError(
                f"Blobs are not read from {options['to']}: add it to STRONGROOM_STORAGE."
            )
        moved = 0
        with Progress("move") as progress:
            progress.expect(Blob.objects.filter(upload__isnull=False).count())
            try:
                for size in move_blobs(list(backends.values()), target):
                    moved += 1
                    progress.advance(size)
            except (StorageFailed, StorageFull, BlobMissing) as error:
                raise CommandError(
                    f"{moved} blobs were moved, then the storage failed: {error.detail} Nothing "
                    "was lost; run it again."
                ) from error
        self.stdout.write(f"{moved} blobs were moved to {options['to']}.")
        if first != options["to"]:
            self.stdout.write(f"New blobs still go to {first}, the first in STRONGROOM_STORAGE.")
