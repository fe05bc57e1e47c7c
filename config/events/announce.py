"""The only writer of events."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from config.events.models import Event
from config.events.signals import announced
from config.rows import insert, made

# Source: PostgreSQL, section 9.28.10, advisory locks. Any constant will do.
IN_ORDER = 0x5374726F6E67


def announce(owner_id: UUID, name: str, **ids: object) -> None:
    """Tell the owner's open pages that something changed.

    Call it last inside the transaction that changes it: an event is seen only if the change is.
    `name` is such as `upload.deleted` or `run.changed`. `ids` are identifiers and states, never
    names or content.
    """
    announce_all([news(owner_id, name, **ids)])


def announce_all(events: Sequence[Event]) -> None:
    """Tell of several changes of one transaction, in order, as `announce` does of one."""
    if not events:
        return
    announced.send(Event, events=events)
    if connection.vendor == "postgresql":
        # Ids must become visible in their order, or a reader who has passed a larger one never
        # sees a smaller one. SQLite has one writer at a time anyway.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [IN_ORDER])
    insert(events)


def news(owner_id: UUID, name: str, **ids: Any) -> Event:
    """Return an event for `announce_all`."""
    data = {key: str(value) for key, value in ids.items()}
    return made(Event, owner_id=owner_id, name=name, data=data)
