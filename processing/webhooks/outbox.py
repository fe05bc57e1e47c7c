"""The only maker of deliveries: rows in the transaction of what they tell.

So a crash neither loses a message nor invents one, and a worker that has lost its claim tells
nothing. Whoever commits wakes a worker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from config.events.models import Event
from config.prepared import Prepared
from processing import queue
from processing.models import ReplayItem
from processing.webhooks.events import EVENTS, REACHED, TEST
from processing.webhooks.models import Delivery, Endpoint

_LISTENING = Prepared(
    Endpoint,
    lambda owner: Endpoint.objects.filter(owner=owner, enabled=True).only("owner_id", "events"),
)


@dataclass(frozen=True)
class News:
    """Something that endpoints of `owner_id` may have asked to be told."""

    owner_id: UUID
    event: str
    facts: Mapping[str, Any]


def news_of(events: Sequence[Event]) -> list[News]:
    """Return what of the live events is worth a message."""
    found = []
    for event in events:
        name = event.name
        if name == "run.changed":
            name = f"run.{event.data['state']}"
        if name in EVENTS:
            found.append(News(event.owner_id, name, event.data))
    return found


def tell(news: Sequence[News]) -> None:
    """Make the deliveries of `news`, last inside the transaction of what it tells.

    Runs of a replay only try something out: nobody is told of them.
    """
    if not news:
        return
    listening: dict[UUID, list[Endpoint]] = {}
    for owner_id in {each.owner_id for each in news}:
        if endpoints := _LISTENING(owner=owner_id):
            listening[owner_id] = endpoints
    if not listening:
        return
    tried_out = _of_replays([each.facts["run"] for each in news if "run" in each.facts])
    put(
        [
            delivery_to(endpoint, each.event, each.facts)
            for each in news
            for endpoint in listening.get(each.owner_id, ())
            if each.event in endpoint.events and each.facts.get("run") not in tried_out
        ]
    )


def reached(owner_id: UUID, name: str, *, facts: Mapping[str, Any]) -> Delivery | None:
    """Return the unsaved delivery of a step that tells the endpoint `name`; None: nobody is told.

    Raises:
        Endpoint.DoesNotExist: the owner has none of this name.
    """
    endpoint = Endpoint.objects.get(owner=owner_id, name=name)
    if not endpoint.enabled or _of_replays([facts["run"]]):
        return None
    return delivery_to(endpoint, REACHED, facts)


def test(endpoint: Endpoint) -> Delivery:
    """Make a delivery that says nothing but that it arrives."""
    delivery = delivery_to(endpoint, TEST, {"endpoint": str(endpoint.pk)})
    put([delivery])
    return delivery


def delivery_to(endpoint: Endpoint, event: str, facts: Mapping[str, Any]) -> Delivery:
    """Return an unsaved delivery."""
    return Delivery(
        endpoint=endpoint,
        event=event,
        facts=dict(facts),
        occurred_at=timezone.now(),
        due_at=queue.now(),
    )


def put(deliveries: Sequence[Delivery]) -> None:
    """Write deliveries, and wake a worker when they are committed."""
    if not deliveries:
        return
    Delivery.objects.bulk_create(deliveries)
    queue.submit(deliveries[0].pk)


def _of_replays(run_ids: Sequence[str]) -> set[str]:
    if not run_ids:
        return set()
    found = ReplayItem.objects.filter(run_id__in=run_ids).values_list("run_id", flat=True)
    return {str(run_id) for run_id in found}
