"""Make the secrets of a new deployment in a folder; what is there already is never touched.

Needs no secrets itself: run it with DJANGO_SETTINGS_MODULE=config.settings.build.
"""

import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.durable import write_private
from config.secrets import create


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--postgres", metavar="HOST", help="Also a password and a URL for PostgreSQL there."
        )

    def handle(self, folder: Path, postgres: str | None, **_: Any) -> None:
        create(folder)
        if postgres and not (folder / "database-url").exists():
            password = secrets.token_urlsafe(24)
            write_private(folder / "database-password", password)
            url = f"postgres://strongroom:{password}@{postgres}:5432/strongroom"
            write_private(folder / "database-url", url)
        self.stdout.write(
            f"The secrets are in {folder}. Make a backup of them now, apart from the data: without "
            "master-keys.json no stored file opens."
        )
