"""The time axis of a run: where each bar begins and how long it is, in percent of the width."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

# Time in which no step works (receiving, waiting) takes at most this share of the time in which
# one does. A file that took an hour to arrive must not squeeze its steps into one pixel.
MAX_IDLE_SHARE = 0.5
MIN_IDLE_MS = 2.0
MIN_WIDTH = 0.4  # percent, so that the shortest step can be seen
TICKS = 5
NICE = (1, 2, 5)


@dataclass(frozen=True)
class Span:
    """A time span to draw. `works` is false for receiving and waiting."""

    begin: datetime
    end: datetime
    works: bool = True


@dataclass(frozen=True)
class Bar:
    """A drawn span: percent of the width. `cut` says that it is drawn shorter than it was."""

    x: float
    width: float
    cut: bool

    @property
    def middle(self) -> float:
        """Return where a broken bar is broken."""
        return round(self.x + self.width / 2, 3)


@dataclass(frozen=True)
class Tick:
    """A mark on the axis, `ms` after the first work began."""

    x: float
    ms: float


class Axis:
    """Maps moments to percent, true to scale except for long idle times."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._origin = min(span.begin for span in spans)
        self._edges = sorted({self._ms(t) for span in spans for t in (span.begin, span.end)})
        busy = [(self._ms(span.begin), self._ms(span.end)) for span in spans if span.works]
        self.work_begin = min((begin for begin, _ in busy), default=0.0)
        self.work_end = max((end for _, end in busy), default=0.0)
        pairs = list(zip(self._edges, self._edges[1:], strict=False))
        is_busy = [any(a <= left and right <= b for a, b in busy) for left, right in pairs]
        work = sum(b - a for (a, b), at_work in zip(pairs, is_busy, strict=True) if at_work)
        most = max(work * MAX_IDLE_SHARE, MIN_IDLE_MS) if busy else float("inf")
        self._cut = [
            not at_work and b - a > most for (a, b), at_work in zip(pairs, is_busy, strict=True)
        ]
        lengths = [most if cut else b - a for (a, b), cut in zip(pairs, self._cut, strict=True)]
        self._places = [0.0]
        for length in lengths:
            self._places.append(self._places[-1] + length)

    def _ms(self, moment: datetime) -> float:
        return (moment - self._origin).total_seconds() * 1000

    def x(self, ms: float) -> float:
        """Return the place of a moment, given in milliseconds after the first span began."""
        total = self._places[-1] or 1.0
        for index in range(len(self._edges) - 1):
            left, right = self._edges[index], self._edges[index + 1]
            if ms <= right:
                part = (ms - left) / (right - left)
                place = self._places[index]
                return 100 * (place + part * (self._places[index + 1] - place)) / total
        return 100.0

    def bar(self, span: Span) -> Bar:
        """Return where to draw a span."""
        begin, end = self._ms(span.begin), self._ms(span.end)
        x = self.x(begin)
        width = max(self.x(end) - x, MIN_WIDTH)
        cut = any(
            is_cut and begin <= self._edges[i] and self._edges[i + 1] <= end
            for i, is_cut in enumerate(self._cut)
        )
        return Bar(round(min(x, 100 - MIN_WIDTH), 3), round(width, 3), cut)

    def ticks(self) -> Iterable[Tick]:
        """Return round marks over the time in which steps work, too close ones left out."""
        span = self.work_end - self.work_begin
        if span <= 0:
            return []
        pace = nice(span / TICKS)
        marks: list[Tick] = []
        count = int(span // pace) + 1
        for number in range(count):
            tick = Tick(round(self.x(self.work_begin + number * pace), 3), number * pace)
            if tick.x <= 94 and (not marks or tick.x - marks[-1].x >= 9):
                marks.append(tick)
        return marks


def nice(value: float) -> float:
    """Return the first of 1, 2, 5, 10, 20, 50 ... that is not smaller than `value`."""
    power = 0.001
    while True:
        for digit in NICE:
            if digit * power >= value:
                return digit * power
        power *= 10
