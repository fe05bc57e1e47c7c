"""Move the key tables into the database that STRONGROOM_KEYS_DATABASE_URL names."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.startup.database import migrate
from uploads.key_store import is_apart, move_in


class Command(BaseCommand):
    help = (
        "Move the key tables from the main database into the one that "
        "STRONGROOM_KEYS_DATABASE_URL names. Stop the system first."
    )

    def handle(self, **_: Any) -> None:
        if not is_apart():
            raise CommandError(
                "The keys have no database of their own: set STRONGROOM_KEYS_DATABASE_URL first."
            )
        migrate()
        self.stdout.write(
            f"{move_in()} rows were moved. Older copies of the main database hold them still."
        )
