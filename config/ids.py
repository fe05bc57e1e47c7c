"""Identifiers that sort by the time they were made. Pure."""

import os
import time
from datetime import datetime
from uuid import UUID


def uuid7() -> UUID:
    """Return a new UUID of version 7: 48 bits of Unix milliseconds, 74 random bits.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & ((1 << 62) - 1)
    return UUID(int=value)


def least_id_of(moment: datetime) -> UUID:
    """Return what all ids sort after that were made at `moment` or later."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
