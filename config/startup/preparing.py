"""What has to be brought up to this version of the program before it starts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils.module_loading import import_string

from config.startup import database, static


def prepare() -> Iterator[str]:
    """Do what is missing, and yield a sentence for each thing that was done.

    The sentences are for a person at a terminal, who gets them instead of log lines.
    """
    with _warnings_only():
        if database.migrate():
            yield "The database is up to date."
        if static.collect():
            yield "The static files are collected."
        for path in settings.ON_START:
            import_string(path)()


@contextmanager
def _warnings_only() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
