"""The geometry of the time axis."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.waterfall import Axis, Span, nice

START = datetime(2026, 1, 1, tzinfo=UTC)


def span(begin_ms: float, end_ms: float, *, works: bool = True) -> Span:
    return Span(
        START + timedelta(milliseconds=begin_ms), START + timedelta(milliseconds=end_ms), works
    )


def test_bars_are_true_to_scale() -> None:
    first, second = span(0, 25), span(25, 100)
    axis = Axis([first, second])
    assert (axis.bar(first).x, axis.bar(first).width) == (0, 25)
    assert (axis.bar(second).x, axis.bar(second).width) == (25, 75)


def test_a_long_wait_is_cut_to_half_of_the_work() -> None:
    wait, work = span(0, 3_600_000, works=False), span(3_600_000, 3_600_100)
    axis = Axis([wait, work])
    assert axis.bar(wait).cut
    assert axis.bar(wait).width == pytest.approx(100 / 3, abs=0.01)
    assert not axis.bar(work).cut
    assert axis.bar(work).width == pytest.approx(200 / 3, abs=0.01)


def test_a_short_wait_keeps_its_length() -> None:
    wait, work = span(0, 20, works=False), span(20, 100)
    bar = Axis([wait, work]).bar(wait)
    assert (bar.width, bar.cut) == (20, False)


def test_a_pause_between_attempts_is_cut_too() -> None:
    first, second = span(0, 50), span(60_000, 60_050)
    axis = Axis([first, second])
    assert axis.bar(second).x == pytest.approx(200 / 3, abs=0.01)


def test_waiting_alone_fills_the_width() -> None:
    bar = Axis([span(0, 5000, works=False)]).bar(span(0, 5000, works=False))
    assert (bar.x, bar.width, bar.cut) == (0, 100, False)


def test_nothing_is_drawn_outside_or_too_small_to_see() -> None:
    spans = [span(0, 1000), span(1000, 1000)]
    axis = Axis(spans)
    for each in spans:
        bar = axis.bar(each)
        assert bar.width >= 0.4
        assert 0 <= bar.x <= bar.x + bar.width <= 100


def test_a_moment_without_length_does_not_divide_by_zero() -> None:
    axis = Axis([span(0, 0)])
    assert axis.bar(span(0, 0)).width > 0
    assert list(axis.ticks()) == []


def test_ticks_are_round_and_count_from_the_first_work() -> None:
    axis = Axis([span(0, 40, works=False), span(40, 140)])
    ticks = list(axis.ticks())
    assert [tick.ms for tick in ticks][:3] == [0, 20, 40]
    assert ticks[0].x == pytest.approx(100 * 40 / 140, abs=0.01)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.3, 0.5), (1, 1), (3, 5), (7, 10), (120, 200), (4200, 5000)]
)
def test_nice_numbers(value: float, expected: float) -> None:
    assert nice(value) == pytest.approx(expected)
