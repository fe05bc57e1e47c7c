"""What has to be brought up to this version of the program before it starts."""

from collections.abc import Iterator

from django.conf import settings
from django.utils.module_loading import import_string

from config.startup import database, static


def prepare() -> Iterator[str]:
    """Do what is missing, and yield a sentence for each thing that was done."""
    if database.migrate():
        yield "The database is up to date."
    if static.collect():
        yield "The static files are collected."
    for path in settings.ON_START:
        import_string(path)()
