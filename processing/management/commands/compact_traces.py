"""Remove from old traces the attempts that came to nothing."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from processing.retention import compact


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        days = settings.PROCESSING["TRACE_DAYS"]
        parser.add_argument("--days", type=int, default=days, help=f"since the run's end ({days})")

    def handle(self, **options: Any) -> None:
        removed = compact(ended_before=timezone.now() - timedelta(days=options["days"]))
        self.stdout.write(f"removed {removed} attempts")
