"""Events as the edge reads them."""

import json
from datetime import timedelta
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from config.edge import Event as Told
from config.events.models import Event

KEPT = timedelta(days=1)


class EventFeed:
    """All owners' events in the order of their ids; a channel is an owner's id."""

    def latest(self) -> int:
        return Event.objects.aggregate(latest=Max("id"))["latest"] or 0

    def after(self, cursor: int, limit: int, channel: str | None = None) -> list[Told]:
        events = Event.objects.filter(id__gt=cursor).order_by("id")
        if channel is not None:
            events = events.filter(owner_id=UUID(channel))
        return [
            Told(event.pk, event.name, json.dumps(event.data), str(event.owner_id))
            for event in events[:limit]
        ]


FEED = EventFeed()  # one for all streams of a process: the edge asks it once for all of them


def forget_old_events() -> int:
    """Remove what nobody can still be waiting for; return how many.

    The newest one stays, so that ids never begin anew.
    """
    old = Event.objects.filter(created_at__lt=timezone.now() - KEPT, id__lt=EventFeed().latest())
    return old.delete()[0]
