"""Delete the uploads that are older than the retention of their owners."""

from typing import Any

from django.core.management.base import BaseCommand

from uploads.retention import delete_expired


class Command(BaseCommand):
    help = "Delete the uploads that have been kept for as long as the policies say."

    def handle(self, **_: Any) -> None:
        self.stdout.write(f"Deleted {delete_expired()} expired uploads.")
