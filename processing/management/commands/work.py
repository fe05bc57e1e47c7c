"""Work on what is queued, until told to stop."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from processing.queue.cluster import run


class Command(BaseCommand):
    help = __doc__

    def handle(self, **_: Any) -> None:
        sys.exit(run())
