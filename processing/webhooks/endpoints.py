"""What an owner can do with endpoints."""

import logging
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from config.accounts.models import User
from config.events.announce import announce
from config.idempotency.once import Keep, keep_nothing
from processing import queue
from processing.webhooks import deliveries, outbox
from processing.webhooks.errors import (
    ChangedMeanwhile,
    DeliveryGoesOn,
    EndpointOff,
    NameMalformed,
    NameTaken,
    TooManyEndpoints,
    UnknownEvent,
)
from processing.webhooks.events import EVENTS
from processing.webhooks.models import Delivery, Ended, Endpoint
from processing.webhooks.rules import rules
from processing.webhooks.sealing import SECRET, URL, Seal
from processing.webhooks.sending import TIMEOUT_S
from processing.webhooks.signing import new_secret
from processing.webhooks.targets import addresses_of, target_of

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
BOTH_FOR = timedelta(hours=24)  # how long the secret before the last one signs as well


def create(
    owner: User,
    *,
    name: str,
    url: str,
    events: Collection[str],
    keep: Keep = keep_nothing,
) -> tuple[Endpoint, str]:
    """Make an endpoint; return it with its secret, which is shown to nobody else.

    `keep` is told its id in the transaction that makes it.

    Raises:
        NameMalformed, NameTaken, UnknownEvent, TooManyEndpoints: nothing was made.
        UrlMalformed, SchemeRefused, PortRefused, AddressRefused: the same.
    """
    _check(name=name, url=url, events=events)
    secret = new_secret()
    endpoint = Endpoint(owner=owner, name=name, events=_in_order(events))
    seal = Seal.new(endpoint)
    endpoint.sealed_url, endpoint.sealed_secret = seal.close(url, URL), seal.close(secret, SECRET)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)  # two at once would both count the same
        if Endpoint.objects.owned_by(owner).count() >= rules().max_endpoints:
            raise TooManyEndpoints
        _save_named(endpoint)
        keep(endpoint.pk)
    logger.info("endpoint made", extra={"endpoint": str(endpoint.pk)})
    return endpoint, secret


def change(
    endpoint: Endpoint,
    *,
    name: str | None = None,
    url: str | None = None,
    events: Collection[str] | None = None,
    enabled: bool | None = None,
) -> None:
    """Change what is given; the rest stays.

    Raises:
        NameMalformed, NameTaken, UnknownEvent, ChangedMeanwhile: nothing was changed.
        UrlMalformed, SchemeRefused, PortRefused, AddressRefused: the same.
    """
    _check(name=name, url=url, events=events)
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = name
    if url is not None:
        changes["sealed_url"] = Seal.of(endpoint).close(url, URL)
    if events is not None:
        changes["events"] = _in_order(events)
    with transaction.atomic():
        this = Endpoint.objects.filter(pk=endpoint.pk, revision=endpoint.revision)
        try:
            with transaction.atomic():
                if not this.update(revision=F("revision") + 1, **changes):
                    raise ChangedMeanwhile
        except IntegrityError:
            raise NameTaken from None
        if enabled is not None:
            _switch(endpoint, on=enabled)
        announce(endpoint.owner_id, "webhook.changed", endpoint=endpoint.pk)
    endpoint.refresh_from_db()


def rotate(endpoint: Endpoint) -> str:
    """Give an endpoint a new secret and return it; the one before signs for a day as well.

    Raises:
        ChangedMeanwhile: nothing was changed.
    """
    secret = new_secret()
    endpoint.sealed_previous = endpoint.sealed_secret
    endpoint.sealed_secret = Seal.of(endpoint).close(secret, SECRET)
    endpoint.previous_until = queue.now() + BOTH_FOR
    with transaction.atomic():
        rotated = Endpoint.objects.filter(pk=endpoint.pk, revision=endpoint.revision).update(
            sealed_secret=endpoint.sealed_secret,
            sealed_previous=endpoint.sealed_previous,
            previous_until=endpoint.previous_until,
            revision=F("revision") + 1,
        )
        if not rotated:
            raise ChangedMeanwhile
        announce(endpoint.owner_id, "webhook.changed", endpoint=endpoint.pk)
    endpoint.refresh_from_db()
    logger.info("endpoint secret rotated", extra={"endpoint": str(endpoint.pk)})
    return secret


def remove(endpoint: Endpoint) -> None:
    """Remove an endpoint with its deliveries."""
    pk = endpoint.pk
    with transaction.atomic():
        endpoint.delete()
        announce(endpoint.owner_id, "webhook.changed", endpoint=pk)


def send_test(endpoint: Endpoint) -> Delivery:
    """Send a message that says nothing but that it arrives.

    Raises:
        EndpointOff
    """
    if not endpoint.enabled:
        raise EndpointOff
    with transaction.atomic():
        return outbox.test(endpoint)


def resend(delivery: Delivery) -> None:
    """Send a delivery again, under its id.

    Raises:
        EndpointOff, DeliveryGoesOn
    """
    if not delivery.endpoint.enabled:
        raise EndpointOff
    if not deliveries.send_again(delivery):
        raise DeliveryGoesOn


def _switch(endpoint: Endpoint, *, on: bool) -> None:
    this = Endpoint.objects.filter(pk=endpoint.pk)
    if not on:
        deliveries.switch_off(this, Ended.OWNER)
        return
    this.filter(enabled=False).update(
        enabled=True,
        ended_at=None,
        ended_because="",
        failures=0,
        failing_since=None,
        quiet_until=None,
    )


def _check(*, name: str | None, url: str | None, events: Collection[str] | None) -> None:
    if name is not None and not NAME.fullmatch(name):
        raise NameMalformed
    if events is not None and not set(events) <= set(EVENTS):
        raise UnknownEvent
    if url is not None:
        given = rules()
        addresses_of(target_of(url, given), given, within_s=TIMEOUT_S)


def _in_order(events: Collection[str]) -> list[str]:
    return [event for event in EVENTS if event in events]


def _save_named(endpoint: Endpoint) -> None:
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
    except IntegrityError:
        raise NameTaken from None
