"""Whoever is too slow over a whole window is cut at its end, whenever the last byte came."""

from config.edge.body import Pace
from config.edge.limits import Limits

LIMITS = Limits(body_idle_s=40, body_grace_s=30, min_bytes_per_s=10)
ENOUGH = 300


def waited(pace: Pace, since: float, until: float, count: int) -> float:
    """Wait, let so many bytes arrive, and return how much longer to wait for the next ones."""
    pace.begin(since)
    pace.arrived(count, until)
    pace.begin(until)
    return pace.patience_s(until)


def test_a_byte_that_comes_late_buys_no_window() -> None:
    assert waited(Pace(LIMITS), 0, 30.1, 1) <= 0


def test_who_was_just_too_slow_is_told_from_who_was_not() -> None:
    pace = Pace(LIMITS)
    for second in range(29):
        assert waited(pace, second, second + 1, 10) == 29 - second
    assert waited(pace, 29, 30, 9) <= 0
    assert waited(Pace(LIMITS), 0, 30, ENOUGH) == 30


def test_each_window_is_for_itself() -> None:
    pace = Pace(LIMITS)
    assert waited(pace, 0, 30, 100 * ENOUGH) == 30
    assert waited(pace, 30, 60, ENOUGH - 1) <= 0


def test_who_has_brought_enough_may_rest_until_idle() -> None:
    assert waited(Pace(LIMITS), 0, 1, ENOUGH) == 40
