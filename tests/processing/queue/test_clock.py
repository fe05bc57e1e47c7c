"""Whose time counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from processing import queue
from processing.models import Run
from processing.queue.clock import KEPT_S, SLACK, Clock

THERE = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


class Cursor:
    """A server far away in time."""

    asked = 0

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, _: str) -> None:
        Cursor.asked += 1

    def fetchone(self) -> tuple[float]:
        return (THERE.timestamp(),)


@pytest.fixture
def far_away(monkeypatch: Any) -> list[float]:
    """Let the database be a server whose clock is years ahead; return our steady clock."""
    steady = [1000.0]
    monkeypatch.setattr(Cursor, "asked", 0)
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setattr(connection, "cursor", Cursor)
    monkeypatch.setattr("processing.queue.clock.monotonic", lambda: steady[0])
    return steady


def test_the_time_is_the_databases_and_asked_for_once_a_minute(far_away):
    clock = Clock()
    assert clock.now() == THERE
    far_away[0] += KEPT_S - 1
    assert clock.now() == THERE + timedelta(seconds=KEPT_S - 1)
    assert Cursor.asked == 1
    far_away[0] += 2
    assert clock.now() == THERE
    assert Cursor.asked == 2


def test_setting_the_machines_clock_moves_nothing(far_away, monkeypatch):
    clock = Clock()
    clock.now()
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("the machine's clock was asked"))
    far_away[0] += 1
    assert clock.now() == THERE + timedelta(seconds=1)


@pytest.mark.django_db
def test_a_run_that_is_due_any_moment_is_claimed_and_one_that_is_due_later_is_not(make_run):
    later = make_run(due_at=queue.now() + SLACK + timedelta(minutes=1))
    soon = make_run(due_at=queue.now() + SLACK)
    assert queue.claim(later.pk, "worker") is None
    claim = queue.claim(soon.pk, "worker")
    assert claim
    assert Run.objects.get(pk=claim.run_id).lease_expires_at
