"""The ledger: who works on which run. Rows of runs change here and nowhere else.

Every change is one conditional update, whose condition is what makes it right: of many that try,
one gets the row; whoever has lost a claim writes nothing any more. The upload's own state, which
mirrors its latest run, and the news of it are part of the same transaction.

Leases are compared with the database's clock, where the database is a server of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, UUIDField

from config.events.announce import announce_all, news
from config.events.models import Event
from processing.models import Priority, Run, RunState
from processing.queue import clock
from uploads.models import Upload

NOBODY = UUID(int=0)  # sorts before every owner
ID: "UUIDField[UUID, UUID]" = UUIDField()  # knows how each database writes an id
_UPLOADS = Upload._meta.db_table


class ClaimLost(Exception):
    """The run is somebody else's by now, has ended, or is gone; nothing was written."""


@dataclass(frozen=True)
class Claim:
    """A run that is ours for as long as its fence stays what it is."""

    run_id: UUID
    fence: int
    attempt: int

    def __hash__(self) -> int:
        return hash(self.run_id.int)  # many look-ups for each run: that of all parts costs more


class Moved(NamedTuple):
    """A run whose state has just changed."""

    run_id: UUID
    owner_id: UUID
    upload_id: UUID

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return it of a row."""
        return cls(run.pk, run.owner_id, run.upload_id)


def lease() -> timedelta:
    """Return how long a claim holds without being renewed."""
    return timedelta(seconds=settings.PROCESSING["LEASE_S"])


# --- Taking -----------------------------------------------------------------------------------

_DUE = "state = 'queued' AND due_at <= %(due)s"
_THIS_ONE = f"id = %(run)s AND {_DUE}"
_NEXT_ONES = f"""{_DUE} AND priority = %(priority)s AND owner_id = (
    SELECT owner_id FROM processing_run
    WHERE {_DUE} AND priority = %(priority)s AND owner_id > %(owner)s
    ORDER BY owner_id LIMIT 1
)"""  # noqa: S608 - made of our own words

# Django 5.2 has no UPDATE that returns what it changed. Rows that others are just taking are
# passed over where the database knows how to; SQLite has one writer at a time. MATERIALIZED, or
# PostgreSQL may choose anew for each row.
_TAKE = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM processing_run WHERE {which} ORDER BY due_at, id LIMIT %(count)s {locking}
)
UPDATE processing_run
SET state = 'running', attempt = attempt + 1, fence = fence + 1, worker = %(worker)s,
    claimed_at = %(now)s, lease_expires_at = %(lease_end)s,
    started_at = COALESCE(started_at, %(now)s)
WHERE id IN (SELECT id FROM chosen)
RETURNING id, owner_id, upload_id, fence, attempt, due_at
"""


def claim(run_id: UUID | None, worker: str) -> Claim | None:
    """Take a run, or the next one that is due; None when there is nothing to take."""
    if run_id is None:
        return next((bundle[0] for bundle in bundles(worker, size=1)), None)
    with transaction.atomic():
        taken = _take(_THIS_ONE, worker, run=run_id)
    return taken[0][1] if taken else None


def bundles(worker: str, *, size: int) -> Iterator[list[Claim]]:
    """Take due runs, up to `size` of one owner at once, until none is left.

    Owners take turns, in the order of their ids, so that nobody waits for all files of another.
    What runs in the background waits until nothing else is due. After a run that was claimed
    before, which is worked on alone, only one is taken: the others would be given back.
    """
    owner, count = NOBODY, size
    while taken := _take_next(owner, worker, count):
        owner = taken[0][0].owner_id
        claims = [claim for _, claim in taken]
        count = 1 if any(claim.attempt > 1 for claim in claims) else size
        yield claims


@transaction.atomic
def _take_next(after: UUID, worker: str, count: int) -> list[tuple[Moved, Claim]]:
    for priority in Priority.values:
        for owner in dict.fromkeys((after, NOBODY)):
            if taken := _take(_NEXT_ONES, worker, priority=priority, owner=owner, count=count):
                return taken
    return []


def _take(
    which: str, worker: str, *, priority: int = Priority.NORMAL, count: int = 1, **ids: UUID
) -> list[tuple[Moved, Claim]]:
    """Take the first runs of `which`; the caller has begun the transaction."""
    now = clock.now()
    values = {
        "now": now,
        "due": now + clock.SLACK,
        "lease_end": now + lease(),
        "worker": worker,
        "priority": priority,
        "count": count,
        **{name: ID.get_db_prep_value(value, connection) for name, value in ids.items()},
    }
    locking = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update else ""
    taken = [
        (_aware(due_at), Moved(run_id, owner_id, upload_id), Claim(run_id, fence, attempt))
        for run_id, owner_id, upload_id, fence, attempt, due_at in _returned(
            _TAKE.format(which=which, locking=locking), values
        )
    ]
    taken.sort(key=lambda each: (each[0], each[1].run_id))
    _tell([moved for _, moved, _ in taken], RunState.RUNNING)
    return [(moved, claim) for _, moved, claim in taken]


def _aware(moment: datetime) -> datetime:
    """Return a moment of a row. SQLite gives back the zone that was written, with some or none."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def claim_on(run: Run) -> Claim:
    """Return the latest claim of a run."""
    return Claim(run.pk, run.fence, run.attempt)


# --- Holding and leaving ----------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """How a claim is left: the run ends, or is queued again, not to be claimed before `due_at`.

    Without `counts` it is queued as if this attempt had never been.
    """

    state: RunState
    error_code: str = ""
    error_detail: str = ""
    due_at: datetime | None = None
    counts: bool = True


def renew(*claims: Claim) -> bool:
    """Hold the claims for another lease; False when one of them is lost.

    Inside a transaction, True also means that nobody else gets the runs before its end.
    """
    return len(_change(claims, "lease_expires_at = %s", [clock.now() + lease()])) == len(claims)


def _nothing(_: set[UUID]) -> Sequence[Event]:
    """Write nothing."""
    return ()


def settle(
    *,
    held: Collection[Claim],
    endings: Mapping[Claim, Ending],
    write: Callable[[set[UUID]], Sequence[Event]] = _nothing,
) -> set[UUID]:
    """Renew some claims and leave others, in one transaction; return the runs that were ours.

    In the same transaction `write` writes what was done in these runs, and in no others, and
    returns what is to be told of it. All is told at the end: on PostgreSQL tellers wait for each
    other.
    """
    by_ending: dict[Ending, list[Claim]] = defaultdict(list)
    for claim, ending in endings.items():
        by_ending[ending].append(claim)
    with transaction.atomic():
        # All runs before the first upload: who deletes an upload takes them in the same order.
        renewed = _change(held, "lease_expires_at = %s", [clock.now() + lease()])
        left = [(_leave(claims, ending), ending.state) for ending, claims in by_ending.items()]
        for runs, state in left:
            _mirror(runs, state)
        ours = {run.run_id for runs in (renewed, *(runs for runs, _ in left)) for run in runs}
        told = write(ours)
        announce_all([*(each for runs, state in left for each in _news(runs, state)), *told])
    return ours


def finish(claim: Claim, state: RunState, error_code: str = "", error_detail: str = "") -> None:
    """End the run in one of its final states.

    Raises:
        ClaimLost
    """
    leave(claim, Ending(state, error_code, error_detail))


def release(claim: Claim, *, due_at: datetime, counts: bool = True) -> None:
    """Give the run back for a later attempt; without `counts` as if this one had never been.

    Raises:
        ClaimLost
    """
    leave(claim, Ending(RunState.QUEUED, due_at=due_at, counts=counts))


def leave(claim: Claim, ending: Ending) -> None:
    """Leave one run.

    Raises:
        ClaimLost
    """
    if not settle(held=(), endings={claim: ending}):
        raise ClaimLost


def give_up(run: Run, ending: Ending, *, expired_at: datetime) -> bool:
    """Leave a run for its worker, whose lease had ended by then; False where it is renewed.

    Whoever writes what became of it does so in the same transaction.
    """
    with transaction.atomic():
        left = _leave([claim_on(run)], ending, expired_at=expired_at)
        _tell(left, ending.state)
    return bool(left)


def _leave(
    claims: Collection[Claim], ending: Ending, *, expired_at: datetime | None = None
) -> list[Moved]:
    changes = "state = %s, lease_expires_at = NULL, error_code = %s, error_detail = %s"
    values: list[object] = [ending.state, ending.error_code, ending.error_detail]
    if ending.state == RunState.QUEUED:
        changes += ", due_at = %s, attempt = attempt - %s"
        values += [ending.due_at or clock.now(), int(not ending.counts)]
    else:
        changes += ", ended_at = %s"
        values += [clock.now()]
    return _change(claims, changes, values, expired_at=expired_at)


def _change(
    claims: Collection[Claim],
    changes: str,
    values: Sequence[object],
    *,
    expired_at: datetime | None = None,
) -> list[Moved]:
    """Change the runs of these claims that are still ours, and return them.

    With `expired_at` only those whose lease had ended by then.
    """
    if not claims:
        return []
    pairs = ", ".join(["(%s, %s)"] * len(claims))
    ids = [
        part
        for claim in claims
        for part in (ID.get_db_prep_value(claim.run_id, connection), claim.fence)
    ]
    statement = (
        f"UPDATE processing_run SET {changes} "  # noqa: S608 - made of our own words
        f"WHERE state = 'running' AND (id, fence) IN (VALUES {pairs}) "
        f"{'AND lease_expires_at < %s ' if expired_at else ''}"
        "RETURNING id, owner_id, upload_id"
    )
    only = [expired_at] if expired_at else []
    return [Moved(*row) for row in _returned(statement, [*values, *ids, *only])]


def _returned(statement: str, values: Any) -> list[Any]:
    """Return the rows that a statement gives back; each begins with three ids."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [(*map(ID.to_python, row[:3]), *row[3:]) for row in cursor.fetchall()]


def _tell(runs: Sequence[Moved], state: RunState) -> None:
    """Mirror the state in the uploads whose latest runs these are, and announce it."""
    if not runs:
        return
    _mirror(runs, state)
    announce_all(_news(runs, state))


def _mirror(runs: Sequence[Moved], state: RunState) -> None:
    if not runs:
        return
    # By its ids, of which none is another kind's: pairs would make SQLite look at all rows.
    some = ", ".join(["%s"] * len(runs))
    ids = [
        ID.get_db_prep_value(each, connection)
        for each in (*(run.upload_id for run in runs), *(run.run_id for run in runs))
    ]
    statement = f"UPDATE {_UPLOADS} SET state = %s WHERE id IN ({some}) AND run_id IN ({some})"  # noqa: S608 - made of our own words
    with connection.cursor() as cursor:
        cursor.execute(statement, [state, *ids])


def _news(runs: Sequence[Moved], state: RunState) -> list[Event]:
    return [
        news(run.owner_id, "run.changed", run=run.run_id, upload=run.upload_id, state=state)
        for run in runs
    ]


# --- From outside -----------------------------------------------------------------------------


def cancel(run_id: UUID) -> bool:
    """End a run that has not ended; False when there is none. Its worker has lost its claim."""
    return _move(
        run_id,
        (RunState.QUEUED, RunState.RUNNING),
        RunState.CANCELLED,
        fence=F("fence") + 1,
        lease_expires_at=None,
        ended_at=clock.now(),
    )


def reopen(run_id: UUID) -> bool:
    """Make a failed or cancelled run due again, as if it had never begun; False without one."""
    return _move(
        run_id,
        (RunState.FAILED, RunState.CANCELLED),
        RunState.QUEUED,
        attempt=0,
        due_at=clock.now(),
        started_at=None,
        ended_at=None,
        error_code="",
        error_detail="",
    )


def _move(run_id: UUID, states: tuple[RunState, ...], state: RunState, **changes: Any) -> bool:
    with transaction.atomic():
        if not Run.objects.filter(pk=run_id, state__in=states).update(state=state, **changes):
            return False
        _tell([Moved.of(Run.objects.only("owner_id", "upload_id").get(pk=run_id))], state)
        return True
