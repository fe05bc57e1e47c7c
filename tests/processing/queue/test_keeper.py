"""Leases of long runs are renewed; small runs never need it."""

import threading
import time
from typing import Any

import pytest
from django.db import connection

from processing import queue
from processing.models import Run
from processing.queue import keeper
from processing.queue.keeper import Keeper
from processing.queue.ledger import Claim

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(monkeypatch: Any) -> Any:
    """Return a keeper without a thread, whose wakings the test counts out."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    return Keeper()


def wakings(kept: Keeper, monkeypatch: Any, *held: set[Claim]) -> list[set[Claim]]:
    """Let it wake up once for each set of claims that are held then; return what it renewed."""
    renewed: list[set[Claim]] = []
    moments = iter(held)

    class Over(Exception):
        pass

    def sleep(_: float) -> None:
        try:
            kept.claims = frozenset(next(moments))
        except StopIteration:
            raise Over from None

    def renew(claims: set[Claim]) -> bool:
        renewed.append(set(claims))
        return True

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(kept, "_renew", renew)
    with pytest.raises(Over):
        kept._keep()
    return renewed


def test_a_claim_is_renewed_once_it_has_been_held_for_a_while(kept, monkeypatch, make_run):
    old, new = (queue.claim(make_run().pk, "worker") for _ in range(2))
    assert old
    assert new
    assert wakings(kept, monkeypatch, {old}, {old, new}, {new}, {new}, set()) == [
        {old},
        {new},
        {new},
    ]


def test_a_renewal_tells_what_is_lost(kept, monkeypatch, make_run):
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    mine, cancelled = (queue.claim(make_run().pk, "worker") for _ in range(2))
    assert mine
    assert cancelled
    queue.cancel(cancelled.run_id)
    before = Run.objects.get(pk=mine.run_id).lease_expires_at
    kept._renew({mine, cancelled})
    after = Run.objects.get(pk=mine.run_id).lease_expires_at
    assert before
    assert after
    assert after > before
    assert kept.lost == {cancelled}


def test_a_renewal_that_fails_ends_nothing_and_loses_nothing(kept, monkeypatch, make_run):
    def fail(**_: Any) -> Any:
        raise OSError

    monkeypatch.setattr(connection, "close", lambda: None)
    monkeypatch.setattr(keeper, "settle", fail)
    claim = queue.claim(make_run().pk, "worker")
    assert claim
    assert kept._renew({claim}) is False
    assert kept.lost == frozenset()


def test_a_renewal_that_fails_is_tried_again_soon(kept, monkeypatch, make_run):
    claim = queue.claim(make_run().pk, "worker")
    assert claim
    kept.claims = frozenset({claim})
    answers = iter([True, False, True])
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(kept, "_renew", lambda claims: next(answers))
    with pytest.raises(StopIteration):
        kept._keep()
    usual = kept._pause_s
    assert pauses == [usual, usual, usual / 5, usual]
