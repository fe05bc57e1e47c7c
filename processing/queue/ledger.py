"""The ledger: who works on which run. Rows of runs change here and nowhere else.

Every change is one conditional update, whose condition is what makes it right: of many that try,
one gets the row; whoever has lost a claim writes nothing any more. The upload's own state, which
mirrors its latest run, and the news of it are part of the same transaction.

Leases are compared with the clock of the machine that looks. Machines that share a database must
agree on the time to within a fraction of the lease.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, UUIDField
from django.utils import timezone

from config.events.announce import announce
from processing.models import Priority, Run, RunState
from uploads.models import Upload

logger = logging.getLogger(__name__)

NOBODY = UUID(int=0)  # sorts before every owner
ANY = Q()
ID: "UUIDField[UUID, UUID]" = UUIDField()  # knows how each database writes an id


class ClaimLost(Exception):
    """The run is somebody else's by now, has ended, or is gone; nothing was written."""


@dataclass(frozen=True)
class Claim:
    """A run that is ours for as long as its fence stays what it is."""

    run_id: UUID
    fence: int
    attempt: int


def lease() -> timedelta:
    """Return how long a claim holds without being renewed."""
    return timedelta(seconds=settings.PROCESSING["LEASE_S"])


# --- Taking -----------------------------------------------------------------------------------

_DUE = "state = 'queued' AND due_at <= %(now)s"
_ABANDONED = "state = 'running' AND lease_expires_at < %(now)s AND attempt < %(max_attempts)s"
_THIS_ONE = f"id = %(run)s AND ({_DUE} OR {_ABANDONED})"
_NEXT_ONE = f"{_DUE} AND priority = %(priority)s AND owner_id > %(owner)s"

# Django 5.2 has no UPDATE that returns what it changed. Rows that others are just taking are
# passed over where the database knows how to; SQLite has one writer at a time.
_TAKE = """
UPDATE processing_run
SET state = 'running', attempt = attempt + 1, fence = fence + 1, worker = %(worker)s,
    lease_expires_at = %(lease_end)s, started_at = COALESCE(started_at, %(now)s)
WHERE id = (
    SELECT id FROM processing_run WHERE {which} ORDER BY owner_id, due_at LIMIT 1 {locking}
)
RETURNING id, fence, attempt, owner_id, upload_id
"""


def claim(run_id: UUID | None, worker: str) -> Claim | None:
    """Take a run, or the next one that is due; None when there is nothing to take."""
    if run_id is None:
        return next(claims(worker), None)
    with transaction.atomic():
        run = _take(_THIS_ONE, worker, run=run_id)
    return _claim_on(run) if run else None


def claims(worker: str) -> Iterator[Claim]:
    """Take one due run after the other until none is left.

    Owners take turns, in the order of their ids, so that nobody waits for all files of another.
    What runs in the background waits until nothing else is due.
    """
    owner = NOBODY
    while run := _take_next(owner, worker):
        owner = run.owner_id
        yield _claim_on(run)


@transaction.atomic
def _take_next(after: UUID, worker: str) -> Run | None:
    for priority in Priority.values:
        for owner in dict.fromkeys((after, NOBODY)):
            if run := _take(_NEXT_ONE, worker, priority=priority, owner=owner):
                return run
    return None


def _take(which: str, worker: str, priority: int = Priority.NORMAL, **ids: UUID) -> Run | None:
    """Take the first run of `which`; the caller has begun the transaction."""
    now = timezone.now()
    values = {
        "now": now,
        "lease_end": now + lease(),
        "max_attempts": settings.PROCESSING["MAX_ATTEMPTS"],
        "worker": worker,
        "priority": priority,
        **{name: ID.get_db_prep_value(value, connection) for name, value in ids.items()},
    }
    locking = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update else ""
    for run in Run.objects.raw(_TAKE.format(which=which, locking=locking), values):
        _tell(run, RunState.RUNNING)
        return run
    return None


def _claim_on(run: Run) -> Claim:
    return Claim(run.pk, run.fence, run.attempt)


# --- Holding and leaving ----------------------------------------------------------------------


def renew(claim: Claim) -> bool:
    """Hold the claim for another lease; False when it is lost.

    Inside a transaction, True also means that nobody else gets the run before its end.
    """
    return bool(_held(claim).update(lease_expires_at=timezone.now() + lease()))


def finish(claim: Claim, state: RunState, error_code: str = "", error_detail: str = "") -> None:
    """End the run in one of its final states.

    Raises:
        ClaimLost
    """
    _leave(
        claim,
        state,
        ended_at=timezone.now(),
        error_code=error_code,
        error_detail=error_detail,
    )


def release(claim: Claim, *, due_at: datetime, counts: bool = True) -> None:
    """Give the run back for a later attempt; without `counts` as if this one had never been.

    Raises:
        ClaimLost
    """
    _leave(claim, RunState.QUEUED, due_at=due_at, attempt=claim.attempt - (not counts))


def _held(claim: Claim) -> QuerySet[Run]:
    return Run.objects.filter(pk=claim.run_id, fence=claim.fence, state=RunState.RUNNING)


def _leave(claim: Claim, state: RunState, *, only: Q = ANY, **changes: Any) -> None:
    with transaction.atomic():
        held = _held(claim).filter(only)
        if not held.update(state=state, lease_expires_at=None, **changes):
            raise ClaimLost
        _tell(Run.objects.only("owner_id", "upload_id").get(pk=claim.run_id), state)


def _tell(run: Run, state: RunState) -> None:
    """Mirror the state in the upload whose latest run this is, and announce it."""
    Upload.objects.filter(pk=run.upload_id, run_id=run.pk).update(state=state)
    announce(run.owner_id, "run.changed", run=run.pk, upload=run.upload_id, state=state)


# --- From outside -----------------------------------------------------------------------------


def cancel(run_id: UUID) -> bool:
    """End a run that has not ended; False when there is none. Its worker has lost its claim."""
    return _move(
        run_id,
        (RunState.QUEUED, RunState.RUNNING),
        RunState.CANCELLED,
        fence=F("fence") + 1,
        lease_expires_at=None,
        ended_at=timezone.now(),
    )


def reopen(run_id: UUID) -> bool:
    """Make a failed or cancelled run due again, as if it had never begun; False without one."""
    return _move(
        run_id,
        (RunState.FAILED, RunState.CANCELLED),
        RunState.QUEUED,
        attempt=0,
        due_at=timezone.now(),
        started_at=None,
        ended_at=None,
        error_code="",
        error_detail="",
    )


def requeue_abandoned() -> int:
    """Make runs whose lease has ended due again, or park those that had all their attempts.

    Returns how many it found.
    """
    from processing import traces  # noqa: PLC0415 - it needs the claims of this module

    found = 0
    expired = Q(state=RunState.RUNNING, lease_expires_at__lt=timezone.now())
    for run in Run.objects.filter(expired).order_by("lease_expires_at"):
        with suppress(ClaimLost), transaction.atomic():
            _give_up(Claim(run.pk, run.fence, run.attempt), only=expired)
            traces.abandon(run.pk)
            found += 1
            logger.warning("run abandoned", extra={"run": str(run.pk), "worker": run.worker})
    return found


def give_back(workers: str) -> None:
    """Release what workers whose names begin with `workers` held when they were stopped."""
    for run in Run.objects.filter(state=RunState.RUNNING, worker__startswith=workers):
        with suppress(ClaimLost):
            held = Claim(run.pk, run.fence, run.attempt)
            release(held, due_at=timezone.now(), counts=False)


def _give_up(claim: Claim, *, only: Q) -> None:
    now = timezone.now()
    if claim.attempt < settings.PROCESSING["MAX_ATTEMPTS"]:
        _leave(claim, RunState.QUEUED, only=only, due_at=now)
        return
    _leave(
        claim,
        RunState.FAILED,
        only=only,
        ended_at=now,
        error_code="attempts_exhausted",
        error_detail="The work on this file was interrupted too often.",
    )


def _move(run_id: UUID, states: tuple[RunState, ...], state: RunState, **changes: Any) -> bool:
    with transaction.atomic():
        if not Run.objects.filter(pk=run_id, state__in=states).update(state=state, **changes):
            return False
        _tell(Run.objects.only("owner_id", "upload_id").get(pk=run_id), state)
        return True
