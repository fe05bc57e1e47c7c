"""What the pages of webhooks read: one function a page, a fixed number of SQL queries each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count
from django.shortcuts import get_object_or_404
from django.utils import timezone

from config.accounts.models import User
from dashboard.paging import page_of
from processing.webhooks.events import EVENTS, body_of
from processing.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint
from processing.webhooks.rules import Rules, rules
from processing.webhooks.sealing import url_of, urls_of

PAGE_SIZE = 20
DAY = timedelta(hours=24)

# What an attempt came to, for people.
TROUBLES: Mapping[str, str] = {
    "answer_malformed": "The answer was not HTTP",
    "attempt_broke_off": "The attempt broke off",
    "blob_damaged": "The address or the secret is damaged",
    "connection_failed": "No connection",
    "endpoint_gone": "The endpoint is gone",
    "key_unavailable": "The key for its secret is not to be had",
    "not_accepted": "Not accepted",
    "redirect_refused": "It leads elsewhere: redirects are not followed",
    "timed_out": "No answer within 5 seconds",
    "tls_failed": "TLS failed: is the certificate valid for this name?",
    "webhook_address_refused": "The host cannot be found, or is not on the public internet",
    "webhook_port_refused": "This installation does not send to that port",
    "webhook_scheme_refused": "This installation sends to https:// only",
    "worker_lost": "The worker disappeared",
}


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint, and how many deliveries of the last 24 hours are in each state."""

    endpoint: Endpoint
    url: str
    counts: Mapping[str, int]

    @property
    def state(self) -> str:
        """Return the state that its pill shows."""
        return state_of(self.endpoint)


@dataclass(frozen=True)
class WebhooksPage:
    """All endpoints of one user."""

    rows: Sequence[EndpointRow]
    rules: Rules

    @property
    def is_full(self) -> bool:
        """Tell whether there may be no other."""
        return len(self.rows) >= self.rules.max_endpoints


def webhooks_page(user: User) -> WebhooksPage:
    """Return what the list of endpoints shows."""
    found = list(Endpoint.objects.owned_by(user).order_by("name"))
    urls = urls_of(found)
    recent = Delivery.objects.owned_by(user).filter(occurred_at__gte=timezone.now() - DAY)
    counts: dict[UUID, dict[str, int]] = {}
    for endpoint_id, state, count in (
        recent.order_by().values_list("endpoint_id", "state").annotate(Count("pk"))
    ):
        counts.setdefault(endpoint_id, {})[state] = count
    rows = [EndpointRow(each, urls[each.pk], counts.get(each.pk, {})) for each in found]
    return WebhooksPage(rows, rules())


@dataclass(frozen=True)
class FormPage:
    """A form for an endpoint: what stands in it, and what is wrong with that."""

    name: str = ""
    url: str = ""
    chosen: Sequence[str] = tuple(EVENTS)
    error: str = ""
    pointer: str = ""

    events = tuple(EVENTS.items())


@dataclass(frozen=True)
class DeliveryRow:
    """One delivery with its latest attempt, if there was one."""

    delivery: Delivery
    attempts: Sequence[Attempt]

    @property
    def latest(self) -> Attempt | None:
        """Return the latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def trouble(self) -> str:
        """Return what the latest attempt came to, where it came to nothing."""
        return trouble_of(self.latest) if self.latest else ""

    @property
    def waits(self) -> bool:
        """Tell whether there will be another attempt."""
        return self.delivery.state == DeliveryState.WAITING


@dataclass(frozen=True)
class WebhookPage:
    """One endpoint with a page of its deliveries, newest first."""

    endpoint: Endpoint
    url: str
    form: FormPage
    rows: Sequence[DeliveryRow]
    next_before: UUID | None

    @property
    def state(self) -> str:
        """Return the state that its pill shows."""
        return state_of(self.endpoint)

    @property
    def both_sign(self) -> bool:
        """Tell whether the secret before this one still signs."""
        until = self.endpoint.previous_until
        return until is not None and until > timezone.now()


def webhook_page(
    user: User, endpoint_id: UUID, *, before: UUID | None = None, form: FormPage | None = None
) -> WebhookPage:
    """Return what the page of one endpoint shows."""
    endpoint = owned_endpoint(user, endpoint_id)
    url = url_of(endpoint)
    deliveries = endpoint.deliveries.order_by("-id").prefetch_related("attempts")
    if before is not None:
        deliveries = deliveries.filter(pk__lt=before)
    shown, next_before = page_of(deliveries, PAGE_SIZE)
    return WebhookPage(
        endpoint=endpoint,
        url=url,
        form=form or FormPage(endpoint.name, url, endpoint.events),
        rows=[DeliveryRow(each, list(each.attempts.all())) for each in shown],
        next_before=next_before,
    )


@dataclass(frozen=True)
class DeliveryPage:
    """One delivery: every attempt, and the body as it is sent."""

    row: DeliveryRow
    endpoint: Endpoint
    body: str
    attempts: Sequence[tuple[Attempt, str]]


def delivery_page(user: User, delivery_id: UUID) -> DeliveryPage:
    """Return what the page of one delivery shows."""
    delivery = owned_delivery(user, delivery_id)
    attempts = list(delivery.attempts.all())
    body = json.loads(body_of(delivery.event, delivery.facts, delivery.occurred_at))
    return DeliveryPage(
        row=DeliveryRow(delivery, attempts),
        endpoint=delivery.endpoint,
        body=json.dumps(body, indent=2),
        attempts=[(attempt, trouble_of(attempt)) for attempt in attempts],
    )


def owned_endpoint(user: User, endpoint_id: UUID) -> Endpoint:
    """Return one endpoint."""
    return get_object_or_404(Endpoint.objects.owned_by(user), pk=endpoint_id)


def owned_delivery(user: User, delivery_id: UUID) -> Delivery:
    """Return one delivery with its endpoint."""
    owned = Delivery.objects.owned_by(user).select_related("endpoint")
    return get_object_or_404(owned, pk=delivery_id)


def state_of(endpoint: Endpoint) -> str:
    """Return how an endpoint does, in one word."""
    if not endpoint.enabled:
        return "off"
    return "failing" if endpoint.failures else "on"


def trouble_of(attempt: Attempt) -> str:
    """Return what an attempt came to, where it came to nothing, for people."""
    return TROUBLES.get(attempt.error_code, attempt.error_code)
