"""The ledger of deliveries: whose turn it is, and how attempts end.

As with runs, every change is one conditional update. Endpoints take turns, so that nobody waits
behind the many deliveries of another, and each is tried by one worker at a time. A worker that
dies leaves a lease, which ends; then the delivery is tried again, under the same id.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from config.events.announce import announce
from processing import queue
from processing.pauses import jittered
from processing.webhooks.models import Attempt, Delivery, DeliveryState, Ended, Endpoint
from processing.webhooks.sending import TIMEOUT_S, Answer

logger = logging.getLogger(__name__)

# Pauses after the first, second, … attempt; after the last one there is none any more. Together
# about three days. Source: Standard Webhooks 1.0, "Deliverability and reliability".
SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
MAX_ATTEMPTS = len(SCHEDULE) + 1
JITTER = 0.1
# Nothing has reached an endpoint for so long: it is switched off.
PATIENCE = timedelta(days=3)
# An endpoint that fails is left alone, whatever waits for it: twice as long each time.
FIRST_REST = timedelta(seconds=2)
LONGEST_REST = timedelta(minutes=5)

LEASE = timedelta(seconds=4 * TIMEOUT_S)


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours to try for as long as its fence stays what it is."""

    delivery: Delivery
    fence: int


def claim(at_most: int) -> list[Claim]:
    """Take deliveries that are due, one of an endpoint, those whose turn was longest ago."""
    now = queue.now()
    waiting = Delivery.objects.filter(endpoint=OuterRef("pk"), state=DeliveryState.WAITING)
    turns = (
        Endpoint.objects.filter(
            Q(quiet_until=None) | Q(quiet_until__lte=now),
            Exists(waiting.filter(due_at__lte=now)),
            ~Exists(waiting.filter(lease_expires_at__gte=now)),
            enabled=True,
            owner__is_active=True,
        )
        .order_by(F("tried_at").asc(nulls_first=True), "pk")
        .values_list("pk", flat=True)
    )
    claims = (_claim_of(endpoint_id, now) for endpoint_id in turns[:at_most])
    return [claim for claim in claims if claim is not None]


def _claim_of(endpoint_id: UUID, now: datetime) -> Claim | None:
    due = Delivery.objects.filter(
        endpoint=endpoint_id, state=DeliveryState.WAITING, due_at__lte=now
    )
    delivery = due.order_by("due_at", "pk").select_related("endpoint").first()
    if delivery is None:
        return None
    with transaction.atomic():
        taken = due.filter(pk=delivery.pk, fence=delivery.fence).update(
            fence=F("fence") + 1, attempt=F("attempt") + 1, lease_expires_at=now + LEASE
        )
        if not taken:
            return None
        open_ones = Attempt.objects.filter(delivery=delivery, duration_ms=None, error_code="")
        open_ones.update(error_code="worker_lost")
        Endpoint.objects.filter(pk=endpoint_id).update(tried_at=now)
        delivery.refresh_from_db()
        Attempt.objects.create(delivery=delivery, number=delivery.fence, started_at=now)
    return Claim(delivery, delivery.fence)


def settle(claim: Claim, answer: Answer, *, took_ms: float) -> Endpoint | None:
    """Record how an attempt ended; return its endpoint if that is switched off because of it.

    A claim that is lost changes nothing: whoever has it by now records what comes of it.
    """
    now = queue.now()
    delivery = claim.delivery
    changes = _outcome(delivery, answer, now)
    with transaction.atomic():
        ours = Delivery.objects.filter(pk=delivery.pk, fence=claim.fence).exclude(
            lease_expires_at=None
        )
        if not ours.update(lease_expires_at=None, **changes):
            logger.warning("delivery claim lost", extra={"delivery": str(delivery.pk)})
            return None
        Attempt.objects.filter(delivery=delivery, number=claim.fence).update(
            status=answer.status, error_code=answer.error_code, duration_ms=took_ms
        )
        ended = _mark(delivery.endpoint, answer, now)
        announce(
            delivery.endpoint.owner_id,
            "webhook.changed",
            endpoint=delivery.endpoint_id,
            delivery=delivery.pk,
            state=changes["state"],
        )
    logger.info(
        "delivery tried",
        extra={
            "delivery": str(delivery.pk),
            "attempt": delivery.attempt,
            "status": answer.status,
            "code": answer.error_code,
        },
    )
    return delivery.endpoint if ended else None


def send_again(delivery: Delivery) -> bool:
    """Make a delivery due now, with all attempts before it; False while it is being tried.

    The receiver knows it by its id if it has had it already.
    """
    resting = Delivery.objects.filter(pk=delivery.pk).filter(
        Q(lease_expires_at=None) | Q(lease_expires_at__lt=queue.now())
    )
    with transaction.atomic():
        if not resting.update(
            state=DeliveryState.WAITING, settled_at=None, attempt=0, due_at=queue.now()
        ):
            return False
        Endpoint.objects.filter(pk=delivery.endpoint_id).update(quiet_until=None)
        queue.submit(delivery.pk)
    return True


def forget(*, before: datetime, at_once: int = 1000) -> int:
    """Remove deliveries of what happened before, with their attempts; return how many.

    Those whose endpoint went away while they were made go, too.
    """
    left_over = ~Exists(Endpoint.objects.filter(pk=OuterRef("endpoint_id")))
    old = Delivery.objects.filter(Q(occurred_at__lt=before) | left_over).order_by()
    forgotten = 0
    while ids := list(old.values_list("pk", flat=True)[:at_once]):
        Attempt.objects.filter(delivery__in=ids).delete()
        forgotten += Delivery.objects.filter(pk__in=ids).delete()[0]
    return forgotten


def switch_off(endpoints: QuerySet[Endpoint], because: Ended) -> bool:
    """Tell those of these endpoints nothing more that are switched on; tell whether there were.

    What waits for one stays, and goes on when it is switched on again.
    """
    on = endpoints.filter(enabled=True)
    changed = on.update(
        enabled=False,
        ended_at=queue.now(),
        ended_because=because,
        revision=F("revision") + 1,
    )
    return changed > 0


def _outcome(delivery: Delivery, answer: Answer, now: datetime) -> dict[str, object]:
    if not answer.error_code:
        return {"state": DeliveryState.DELIVERED, "settled_at": now}
    if answer.error_code == "endpoint_gone" or delivery.attempt >= MAX_ATTEMPTS:
        return {"state": DeliveryState.FAILED, "settled_at": now}
    pause = jittered(SCHEDULE[delivery.attempt - 1], by=JITTER)
    asked = timedelta(seconds=answer.retry_after_s or 0)
    return {"state": DeliveryState.WAITING, "due_at": now + max(pause, asked)}


def _mark(endpoint: Endpoint, answer: Answer, now: datetime) -> bool:
    """Note at the endpoint how it does; tell whether it is switched off because of that."""
    this = Endpoint.objects.filter(pk=endpoint.pk)
    if not answer.error_code:
        this.filter(failures__gt=0).update(failures=0, failing_since=None, quiet_until=None)
        return False
    if answer.retry_after_s is None:
        rest = min(FIRST_REST * 2 ** min(endpoint.failures, 10), LONGEST_REST)
    else:
        rest = timedelta(seconds=answer.retry_after_s)
    this.update(
        failures=F("failures") + 1,
        failing_since=Coalesce("failing_since", now),
        quiet_until=now + rest,
    )
    if answer.error_code == "endpoint_gone":
        return switch_off(this, Ended.GONE)
    return switch_off(this.filter(failing_since__lte=now - PATIENCE), Ended.FAILING)
