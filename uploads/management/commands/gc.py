"""Remove what crashes and deletions left behind."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.events.feed import forget_old_events
from config.idempotency.keys import forget_old
from uploads.deletion import GRACE_S, sweep


class Command(BaseCommand):
    help = (
        "Remove doomed blobs, blobs without a row, interrupted writes, old events, kept requests. "
        "Afterwards storage holds the blobs that the database knows, and no others."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grace",
            type=float,
            default=GRACE_S,
            metavar="SECONDS",
            help="leave alone what is younger, as it may still be arriving (default: %(default)s); "
            "0 is for a system that is idle",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        swept = sweep(grace_s=options["grace"])
        events = forget_old_events()
        forget_old()
        self.stdout.write(
            f"{swept.doomed} doomed blobs, {swept.orphans} orphans, "
            f"{swept.partials} interrupted writes, {swept.keys} keys of nothing, "
            f"{events} old events removed; {swept.erased_again} uploads erased again."
        )
