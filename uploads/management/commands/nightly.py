"""Do every night what keeps the storage in order, until stopped."""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from django.utils import timezone

from uploads.deletion import remove_doomed

logger = logging.getLogger(__name__)

LONGEST_NAP_S = 120.0  # the clock may be set, the machine may sleep, and removals wait


class Command(BaseCommand):
    help = (
        "Every night at STRONGROOM_NIGHTLY_AT (UTC): delete what is older than its retention, "
        "remove what deletions and crashes left, then verify a sample of what is stored. Every two "
        "minutes: remove the bytes of deleted files that could not be removed at once. With --now: "
        "tidy up once."
    )
    requires_system_checks: list[str] = []  # `up` makes them, and starts this one often

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", action="store_true")

    def handle(self, **options: Any) -> None:
        if options["now"]:
            tidy()
            return
        while True:
            due_at = next_night(timezone.now(), at=settings.UPLOADS["NIGHTLY_AT"])
            while (left_s := (due_at - timezone.now()).total_seconds()) > 0:
                time.sleep(min(left_s, LONGEST_NAP_S))
                retry_removals()
            tidy()


def next_night(now: datetime, *, at: str) -> datetime:
    """Return when it is `at` (HH:MM) for the next time."""
    hour, minute = map(int, at.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def retry_removals() -> None:
    """Remove what was deleted while the storage did not remove it."""
    try:
        remove_doomed()
    except Exception:
        logger.exception("removal failed")
    finally:
        connections.close_all()


def tidy() -> None:
    """Run both commands; what one finds or fails at does not keep the other from running."""
    for command, arguments in (
        ("expire", []),
        ("gc", []),
        ("compact_traces", []),
        ("forget_deliveries", []),
        ("verify", [f"--sample={settings.UPLOADS['NIGHTLY_SAMPLE']}"]),
    ):
        try:
            call_command(command, *arguments)
        except SystemExit as ending:
            logger.log(
                logging.ERROR if ending.code else logging.INFO,
                "nightly command ended",
                extra={"command": command, "exit_code": ending.code},
            )
        except Exception:
            logger.exception("nightly command failed", extra={"command": command})
        finally:
            connections.close_all()
