"""Claims whose workers are gone: found by the end of their leases, and given up for them."""

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from processing.models import Run, RunState
from processing.queue import clock
from processing.queue.ledger import Claim, ClaimLost, Ending, claim_on, give_up, release

MOST_GIVEN_UP = 500  # at once

logger = logging.getLogger(__name__)


def claims_whose_lease_has_ended() -> list[Claim]:
    """Return the claims that nobody has renewed in time: the oldest, as many as are given up at
    once."""
    ended = _expired(clock.now()).values_list("pk", "fence", "attempt")
    return [Claim(*values) for values in ended[:MOST_GIVEN_UP]]


def requeue_abandoned(claims: Collection[Claim] | None = None) -> int:
    """Make runs whose lease has ended due again, or park those that had all their attempts.

    With `claims` only theirs; in any case so many at once, the oldest. Returns how many it found.
    """
    from processing import traces  # noqa: PLC0415 - it imports this package

    found = 0
    now = clock.now()
    expired = _expired(now)
    if claims is not None:
        expired = expired.filter(pk__in=[claim.run_id for claim in claims])
    for run in expired[:MOST_GIVEN_UP]:
        if claims is not None and claim_on(run) not in claims:
            continue
        with transaction.atomic():
            # Its worker may renew the lease this very moment: then the run is not abandoned.
            if not give_up(run, _ending_of(run), expired_at=now):
                continue
            traces.abandon_claim(run)
            found += 1
            logger.warning("run abandoned", extra={"run": str(run.pk), "worker": run.worker})
    return found


def give_back(workers: str) -> None:
    """Release what workers whose names begin with `workers` held when they were stopped."""
    for run in Run.objects.filter(state=RunState.RUNNING, worker__startswith=workers):
        with suppress(ClaimLost):
            release(claim_on(run), due_at=clock.now(), counts=False)


def _expired(now: datetime) -> QuerySet[Run]:
    expired = Run.objects.filter(state=RunState.RUNNING, lease_expires_at__lt=now)
    return expired.order_by("lease_expires_at")


def _ending_of(run: Run) -> Ending:
    if run.attempt < settings.PROCESSING["MAX_ATTEMPTS"]:
        return Ending(RunState.QUEUED)
    return Ending(
        RunState.FAILED,
        error_code="attempts_exhausted",
        error_detail="The work on this file was interrupted too often.",
    )
