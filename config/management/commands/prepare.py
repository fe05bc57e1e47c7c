"""Bring database, static files and built-in pipelines up to this version; then end.

Every start of `up` does the same. A deployment of several machines runs it once before the new
version is started.
"""

from typing import Any

from django.core.management.base import BaseCommand

from config.startup.preparing import prepare


class Command(BaseCommand):
    help = __doc__

    def handle(self, **_: Any) -> None:
        for sentence in prepare():
            self.stdout.write(sentence)
