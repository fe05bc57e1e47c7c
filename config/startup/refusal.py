"""A process that serves refuses to begin without what it would need for every file."""

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

KEYS = "keys"  # the tag of checks that ask for keys


def refuse_without_keys() -> None:
    """Ask for the keys now, and not at the first file.

    Raises:
        ImproperlyConfigured: with the remedy.
    """
    for message in checks.run_checks(tags=[KEYS]):
        if message.is_serious():
            raise ImproperlyConfigured(f"{message.msg} {message.hint}")
