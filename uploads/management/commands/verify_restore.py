"""Prove that a backup opens: restore it into an empty place, verify all of it, clean up."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from uploads.backup.database import postgresql_environment, scratch_database

DIFFERENT = ("STRONGROOM_", "DJANGO_SETTINGS_MODULE", "PG")
# What opens the key ring is no part of a backup: it has to be at hand.
THE_SAME = ("STRONGROOM_MASTER_KEYS_JSON", "STRONGROOM_MASTER_KEYS_PASSPHRASE", "STRONGROOM_KMS_")


class Command(BaseCommand):
    help = (
        "Restore a backup into a temporary folder, and a temporary database where that is not a "
        "file, read every blob, and remove it all again. Ends as `verify` does."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, metavar="FOLDER|FILE.tar")
        parser.add_argument("--keys", type=Path, metavar="FILE", required=True)
        parser.add_argument(
            "--folder", type=Path, help="where there is room for a copy (default: TMPDIR)"
        )

    def handle(self, **options: Any) -> None:
        source, keys = (str(options[name].absolute()) for name in ("source", "keys"))
        try:
            with (
                tempfile.TemporaryDirectory(prefix="strongroom-", dir=options["folder"]) as folder,
                scratch_database() as address,
            ):
                env = _environment(folder, address)
                restored = _manage(env, "restore", source, "--keys", keys)
                if restored == 2:
                    sys.exit(2)
                sys.exit(max(restored, _manage(env, "verify", "--grace", "0")))
        except (Error, OSError) as error:
            raise CommandError(f"Nothing could be verified: {error}", returncode=2) from error


def _environment(folder: str, address: str | None) -> dict[str, str]:
    """Return the environment of an installation with nothing but defaults, in `folder`."""
    env = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(DIFFERENT) or name.startswith(THE_SAME)
    }
    env["STRONGROOM_DATA_DIR"] = folder
    env["DJANGO_SETTINGS_MODULE"] = "config.settings.local"
    if address is not None:
        env |= {"STRONGROOM_DATABASE_URL": address, **postgresql_environment()}
    return env


def _manage(env: Mapping[str, str], *arguments: str) -> int:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - no shell
