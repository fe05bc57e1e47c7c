"""How long to wait before the next try. Pure."""

import random
from datetime import timedelta


def jittered(pause: timedelta, *, by: float = 0.5) -> timedelta:
    """Return `pause`, longer or shorter by up to the part `by`, so that not all wake up at once."""
    return pause * random.uniform(1 - by, 1 + by)  # noqa: S311 - not for secrets
