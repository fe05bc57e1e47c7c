"""Ids for new master keys. Pure."""

import re
from collections.abc import Iterable

FORM = re.compile(r"k([1-9][0-9]{0,8})")


def next_id(taken: Iterable[str]) -> str:
    """Return `k1`, or one more than the largest of that form."""
    numbers = [int(match[1]) for key_id in taken if (match := FORM.fullmatch(key_id))]
    return f"k{max(numbers, default=0) + 1}"
