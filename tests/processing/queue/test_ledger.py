"""Who works on which run."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config.events.models import Event
from processing import queue
from processing.models import Run, RunState, StepRecord, StepState
from processing.queue import Claim, ClaimLost, Ending, abandoned, ledger

SOON = timedelta(minutes=1)


def state_of(run: Run) -> tuple[str, str]:
    """Return the state of a run and of its upload."""
    run.refresh_from_db()
    run.upload.refresh_from_db()
    return run.state, run.upload.state


def in_threads(count: int, work: Callable[[int], None]) -> None:
    barrier = threading.Barrier(count)

    def body(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=body, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by_id", [True, False])
def test_of_twenty_that_claim_at_once_one_gets_the_run(make_run, by_id):
    run = make_run()
    won: list[Claim] = []

    def work(number: int) -> None:
        if claim := queue.claim(run.pk if by_id else None, f"worker {number}"):
            won.append(claim)

    in_threads(20, work)
    assert won == [Claim(run.pk, fence=1, attempt=1)]


@pytest.mark.django_db(transaction=True)
def test_workers_that_drain_together_take_each_run_once_and_leave_none(make_run, stranger):
    runs = {make_run().pk for _ in range(12)} | {make_run(stranger).pk for _ in range(8)}
    taken: Counter[Any] = Counter()

    def work(number: int) -> None:
        for claims in ledger.bundles(f"worker {number}", size=number + 1):
            assert 0 < len(claims) <= number + 1
            for claim in claims:
                taken[claim.run_id] += 1
                queue.finish(claim, RunState.SUCCEEDED)

    in_threads(4, work)
    assert taken == dict.fromkeys(runs, 1)
    assert set(Run.objects.values_list("state", flat=True)) == {"succeeded"}


@pytest.mark.django_db
def test_a_claim_shows_in_the_run_in_its_upload_and_in_the_events(make_run):
    run = make_run()
    claim = queue.claim(run.pk, "worker")
    assert claim == Claim(run.pk, fence=1, attempt=1)
    assert state_of(run) == ("running", "running")
    assert run.worker == "worker"
    assert run.started_at is not None
    assert run.lease_expires_at > timezone.now()
    event = Event.objects.get()
    assert (event.owner_id, event.name) == (run.owner_id, "run.changed")
    assert event.data == {"run": str(run.pk), "upload": str(run.upload_id), "state": "running"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"due_at": SOON},
        {"state": RunState.RUNNING, "lease_expires_at": SOON},
        {"state": RunState.SUCCEEDED},
        {"state": RunState.FAILED},
        {"state": RunState.CANCELLED},
    ],
)
def test_what_is_not_due_is_not_claimed(make_run, changes):
    now = timezone.now()
    moments = {name: now + value for name, value in changes.items() if value is SOON}
    run = make_run(**{**changes, **moments})
    assert queue.claim(run.pk, "worker") is None
    assert queue.claim(None, "worker") is None
    assert Run.objects.get().fence == 0


@pytest.mark.django_db
def test_a_run_that_is_gone_is_not_claimed(make_run):
    run = make_run()
    run_id = run.pk
    run.upload.delete()
    assert queue.claim(run_id, "worker") is None


@pytest.mark.django_db
def test_an_abandoned_run_is_claimed_under_a_new_fence(make_abandoned):
    run = make_abandoned()
    assert queue.requeue_abandoned() == 1
    assert queue.claim(run.pk, "worker") == Claim(run.pk, fence=2, attempt=2)


@pytest.mark.django_db
def test_an_abandoned_run_without_attempts_left_is_not_claimed(make_abandoned, settings):
    run = make_abandoned(attempt=settings.PROCESSING["MAX_ATTEMPTS"])
    assert queue.requeue_abandoned() == 1
    assert queue.claim(run.pk, "worker") is None


@pytest.mark.django_db
def test_of_many_that_are_abandoned_only_those_asked_for_are_read(make_abandoned, monkeypatch):
    monkeypatch.setattr(abandoned, "MOST_GIVEN_UP", 1)
    _, last = [make_abandoned(worker=f"dead {number}") for number in range(2)]
    assert queue.requeue_abandoned({Claim(last.pk, fence=1, attempt=1)}) == 1
    assert Run.objects.get(state=RunState.QUEUED).pk == last.pk


@pytest.mark.django_db
def test_owners_take_turns(make_run, owner, stranger):
    for _ in range(4):
        make_run(owner)
    for _ in range(2):
        make_run(stranger)
    bundles = list(ledger.bundles("worker", size=2))
    owners = [[Run.objects.get(pk=claim.run_id).owner for claim in claims] for claims in bundles]
    assert owners == [[owner] * 2, [stranger] * 2, [owner] * 2]


@pytest.mark.django_db
def test_after_a_run_that_was_claimed_before_only_one_is_taken(make_run):
    earlier = timezone.now() - timedelta(seconds=5)
    make_run(due_at=earlier, attempt=1)
    for _ in range(7):
        make_run()
    bundles = ledger.bundles("worker", size=3)
    assert [len(claims) for claims in bundles] == [3, 1, 3, 1]


@pytest.mark.django_db
def test_the_background_waits_until_nothing_else_is_due(make_run, owner, stranger):
    background = [make_run(user, priority=1).pk for user in (owner, stranger)]
    normal = [make_run(user).pk for user in (stranger, owner, stranger)]
    taken = [claim.run_id for claims in ledger.bundles("worker", size=5) for claim in claims]
    assert set(taken[:3]) == set(normal)
    assert set(taken[3:]) == set(background)


@pytest.mark.django_db
def test_runs_of_one_owner_are_taken_in_the_order_in_which_they_are_due(make_run):
    now = timezone.now()
    late, early = (make_run(due_at=now - timedelta(seconds=s)) for s in (1, 5))
    (claims,) = ledger.bundles("worker", size=8)
    assert [claim.run_id for claim in claims] == [early.pk, late.pk]


@pytest.mark.django_db
def test_runs_that_were_given_back_are_taken_with_new_ones_in_order(make_run):
    back = make_run()
    claim = queue.claim(back.pk, "worker")
    assert claim is not None
    queue.release(claim, due_at=timezone.now() - timedelta(seconds=3))
    late, early = (make_run(due_at=timezone.now() - timedelta(seconds=s)) for s in (1, 5))
    (claims,) = ledger.bundles("worker", size=8)
    assert [claim.run_id for claim in claims] == [early.pk, back.pk, late.pk]


TAKEN_AWAY: dict[str, Callable[[Claim], object]] = {
    "cancelled": lambda claim: queue.cancel(claim.run_id),
    "finished": lambda claim: queue.finish(claim, RunState.SUCCEEDED),
    "released": lambda claim: queue.release(claim, due_at=timezone.now() + SOON),
    "given up": lambda claim: expire(claim) and queue.requeue_abandoned(),
    "taken over": lambda claim: (
        expire(claim) and queue.requeue_abandoned() and queue.claim(claim.run_id, "other")
    ),
    "cancelled and retried": lambda claim: (
        queue.cancel(claim.run_id)
        and queue.requeue(claim.run_id)
        and queue.claim(claim.run_id, "other")
    ),
    "deleted": lambda claim: Run.objects.get(pk=claim.run_id).upload.delete(),
}
LATE_WRITES: dict[str, Callable[[Claim], object]] = {
    "finish": lambda claim: queue.finish(claim, RunState.FAILED, "late", "Late."),
    "release": lambda claim: queue.release(claim, due_at=timezone.now()),
}


def expire(claim: Claim) -> int:
    past = timezone.now() - timedelta(seconds=1)
    return Run.objects.filter(pk=claim.run_id).update(lease_expires_at=past)


@pytest.mark.django_db
@pytest.mark.parametrize("taken_away", TAKEN_AWAY)
@pytest.mark.parametrize("write", LATE_WRITES)
def test_a_late_workers_writes_are_refused(make_run, taken_away, write):
    claim = queue.claim(make_run().pk, "late")
    assert claim
    TAKEN_AWAY[taken_away](claim)
    before = [*Run.objects.values(), *Event.objects.values()]
    with pytest.raises(ClaimLost):
        LATE_WRITES[write](claim)
    assert not queue.renew(claim)
    assert [*Run.objects.values(), *Event.objects.values()] == before


@pytest.mark.django_db
def test_a_renewed_claim_is_not_given_up(make_run):
    run = make_run()
    claim = queue.claim(run.pk, "worker")
    assert claim
    expire(claim)
    assert queue.renew(claim)
    assert queue.requeue_abandoned() == 0
    assert queue.claim(run.pk, "other") is None


@pytest.mark.django_db
def test_a_claim_renewed_while_it_is_being_given_up_is_kept(make_abandoned, monkeypatch):
    run = make_abandoned()
    giving_up = abandoned._ending_of

    def renewed_first(run: Run) -> Ending:
        assert queue.renew(Claim(run.pk, run.fence, run.attempt))
        return giving_up(run)

    monkeypatch.setattr(abandoned, "_ending_of", renewed_first)
    assert queue.requeue_abandoned() == 0
    assert state_of(run) == ("running", "running")


@pytest.mark.django_db
@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED])
def test_a_finished_run_says_how_it_ended(make_run, state):
    run = make_run()
    claim = queue.claim(run.pk, "worker")
    assert claim
    queue.finish(claim, state, "some_code", "Some reason.")
    assert state_of(run) == (state, state)
    assert (run.error_code, run.error_detail) == ("some_code", "Some reason.")
    assert run.ended_at is not None
    assert run.lease_expires_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(("counts", "attempt"), [(True, 1), (False, 0)])
def test_a_released_run_is_due_when_it_says(make_run, counts, attempt):
    run = make_run()
    claim = queue.claim(run.pk, "worker")
    assert claim
    due_at = timezone.now() + SOON
    queue.release(claim, due_at=due_at, counts=counts)
    assert state_of(run) == ("queued", "queued")
    assert (run.due_at, run.attempt, run.fence) == (due_at, attempt, 1)
    assert queue.claim(run.pk, "worker") is None


@pytest.mark.django_db
def test_an_abandoned_run_is_made_due_and_its_open_records_are_closed(make_abandoned):
    run = make_abandoned()
    now = timezone.now()
    record = StepRecord.objects.create(
        run=run, position=0, step="s", attempt=1, state=StepState.RUNNING, started_at=now
    )
    assert queue.requeue_abandoned() == 1
    record.refresh_from_db()
    assert record.state == StepState.ABANDONED
    assert state_of(run) == ("queued", "queued")
    assert queue.claim(None, "worker") == Claim(run.pk, fence=2, attempt=2)


@pytest.mark.django_db
def test_an_abandoned_run_is_parked_after_its_attempts(make_abandoned, settings):
    run = make_abandoned(attempt=settings.PROCESSING["MAX_ATTEMPTS"])
    assert queue.requeue_abandoned() == 1
    assert state_of(run) == ("failed", "failed")
    assert run.error_code == "attempts_exhausted"
    assert run.ended_at is not None
    assert queue.requeue_abandoned() == 0


@pytest.mark.django_db
def test_an_upload_follows_its_latest_run_only(make_run):
    older = make_run()
    newer = make_run()
    Run.objects.filter(pk=newer.pk).update(upload=older.upload)
    type(older.upload).objects.filter(pk=older.upload_id).update(run_id=newer.pk)
    claim = queue.claim(older.pk, "worker")
    assert claim
    queue.finish(claim, RunState.FAILED)
    assert state_of(older) == ("failed", "queued")


@pytest.mark.django_db
@pytest.mark.parametrize("state", RunState)
def test_only_a_run_that_has_not_ended_is_cancelled(make_run, state):
    run = make_run(state=state)
    is_open = state in {RunState.QUEUED, RunState.RUNNING}
    assert queue.cancel(run.pk) is is_open
    assert state_of(run) == (("cancelled",) * 2 if is_open else (state,) * 2)
    assert Event.objects.count() == is_open


@pytest.mark.django_db
@pytest.mark.parametrize("state", RunState)
def test_only_a_run_that_failed_or_was_cancelled_is_queued_again(make_run, state):
    run = make_run(state=state, attempt=3, error_code="x", error_detail="X.")
    may = state in {RunState.FAILED, RunState.CANCELLED}
    assert queue.requeue(run.pk) is may
    assert state_of(run) == (("queued",) * 2 if may else (state,) * 2)
    assert (run.attempt, run.error_code) == ((0, "") if may else (3, "x"))


@pytest.mark.django_db
def test_what_stopped_workers_held_is_given_back_as_if_they_had_never_had_it(make_run):
    mine, others = make_run(), make_run()
    queue.claim(mine.pk, "host/7/8")
    queue.claim(others.pk, "host/77/8")
    abandoned.give_back("host/7/")
    assert state_of(mine) == ("queued", "queued")
    assert mine.attempt == 0
    assert state_of(others) == ("running", "running")


@pytest.mark.django_db
def test_a_claim_and_an_end_take_few_queries(make_run, django_assert_max_num_queries):
    make_run()
    with django_assert_max_num_queries(6):  # a savepoint, its end, a lock for the event
        claim = queue.claim(None, "worker")
    assert claim
    with django_assert_max_num_queries(7):
        queue.finish(claim, RunState.SUCCEEDED)
