"""Remove old deliveries of webhooks from the record."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from processing.webhooks import deliveries


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        days = settings.PROCESSING["WEBHOOKS"]["DAYS"]
        parser.add_argument("--days", type=int, default=days, help=f"since the event ({days})")

    def handle(self, **options: Any) -> None:
        before = timezone.now() - timedelta(days=options["days"])
        self.stdout.write(f"removed {deliveries.forget(before=before)} deliveries")
