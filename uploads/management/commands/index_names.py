"""Let files be found by their names that were handed in before names were searched."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from uploads.models import Upload
from uploads.names import UNREADABLE, names_of
from uploads.search import index_name

BATCH = 500


class Command(BaseCommand):
    help = "Put the words of all file names into the search index. Harmless when repeated."

    def handle(self, **_: Any) -> None:
        done = 0
        uploads = Upload.objects.order_by("pk")
        later = uploads
        # Page by page: SQLite lets nobody write who still reads what was there before others wrote.
        while batch := list(later[:BATCH]):
            later = uploads.filter(pk__gt=batch[-1].pk)
            names = names_of(batch)
            with transaction.atomic():
                for upload in batch:
                    if names[upload.pk] != UNREADABLE:
                        index_name(upload, names[upload.pk])
                        done += 1
        self.stdout.write(f"The names of {done} files are in the index.")
