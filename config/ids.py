"""Identifiers that sort by the time they were made. Pure."""

import os
import time
from datetime import datetime
from uuid import UUID


def uuid7() -> UUID:
    """Return a new UUID of version 7: 48 bits of Unix milliseconds, 12 of what a millisecond is
    divided into, 62 random bits. So those that are made in a row are in order, while the clock goes
    forward.

    Source: RFC 9562, sections 5.7 and 6.2, method 3.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= (nanoseconds << 12) // 1_000_000 << 64
    value |= 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=value)


def least_id_of(moment: datetime) -> UUID:
    """Return what all ids sort after that were made at `moment` or later."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
