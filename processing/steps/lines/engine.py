"""Moves lines from `start` to `end`, a window at a time, and keeps the accounts."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter

from processing.steps.contract import JSON, Output
from processing.steps.lines.batches import Batch, OpenArtifact, Sink
from processing.steps.lines.processors import GENERAL
from processing.steps.lines.settings import (
    BY_TAG,
    END,
    END_FILE,
    START,
    UNROUTED_FILE,
    Plan,
    Route,
    Use,
)

MAX_PATHS = 200  # different ways through the routes that are told apart in the sample
LINES_A_PATH = 5
MAX_PATH = 40  # names of a path that are shown
MAX_EXCERPT = 200  # characters of a line that are shown


class Engine:
    """Routes the lines of one file.

    How much work one line can cause is bounded: it may visit `max_hops` routes, and where it
    goes to several, its copies share what is left equally. A line that is not at its end then
    is counted as an error and written to `unrouted.txt`.
    """

    def __init__(self, plan: Plan, open_artifact: OpenArtifact) -> None:
        self._plan = plan
        self._open_artifact = open_artifact
        self._end = Sink(END_FILE)
        self._unrouted = Sink(UNROUTED_FILE)
        archives = [use.processor.sink for _, _, use in plan.uses() if use.processor.sink]
        self._sinks = [self._end, self._unrouted, *archives]
        self._meters = {(route.name, place): Meter(use) for route, place, use in plan.uses()}
        self._visits = Counter(dict.fromkeys(plan.routes, 0))
        self._dropped = 0
        self._sample = Sample(plan.traced_lines)

    def take(self, numbers: Sequence[int], lines: list[str]) -> None:
        """Bring one window of lines to its end."""
        batch = Batch(numbers, GENERAL, lines)
        waiting = deque([(START, batch, self._plan.max_hops)])
        while waiting:
            target, batch, hops = waiting.popleft()
            if target == END:
                self._leave(batch, END, self._end)
            elif hops == 0:
                self._leave(batch, "unrouted", self._unrouted)
            else:
                waiting.extend(self._visit(self._plan.routes[target], batch, hops))
        for sink in self._sinks:
            sink.flush(self._open_artifact)

    def close(self) -> Output:
        """Finish the artifacts and return the accounts."""
        for sink in self._sinks:
            sink.close()
        processors: list[JSON] = [
            {"route": route, "place": place, **meter.report()}
            for (route, place), meter in self._meters.items()
        ]
        return {
            "ended": self._end.lines,
            "dropped": self._dropped,
            "errors": {"too_many_hops": self._unrouted.lines},
            "routes": dict(self._visits),
            "processors": processors,
            "traced": self._sample.report(),
        }

    def _visit(self, route: Route, batch: Batch, hops: int) -> Iterable[tuple[str, Batch, int]]:
        self._visits[route.name] += len(batch.lines)
        batches = [replace(batch, path=(*batch.path, route.name))]
        for place in range(len(route.through)):
            meter = self._meters[route.name, place]
            batches = [out for given in batches for out in meter.process(given)]
        if not route.to:
            for gone in batches:
                self._leave(gone, "dropped", None)
            return
        left = (hops - 1) // len(route.to)
        for target in route.to:
            for out in batches:
                yield out.tag if target == BY_TAG else target, out, left

    def _leave(self, batch: Batch, how: str, sink: Sink | None) -> None:
        self._sample.see(batch, how)
        if sink is None:
            self._dropped += len(batch.lines)
        else:
            sink.take(batch)


class Meter:
    """Counts and times what one use of a processor does."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._gives_tags = bool(use.processor.tags())
        self._lines = 0
        self._seconds = 0.0

    def process(self, batch: Batch) -> Iterable[Batch]:
        """Return what the processor makes of `batch`, with the processor in their paths."""
        started = perf_counter()
        batches = list(self._use.processor.process(batch))
        self._seconds += perf_counter() - started
        self._lines += len(batch.lines)
        return [replace(out, path=(*out.path, self._label(out.tag))) for out in batches]

    def _label(self, tag: str) -> str:
        return f"{self._use.name}={tag}" if self._gives_tags else self._use.name

    def report(self) -> Output:
        """Return the use's name, its lines, its time, and what it has found out."""
        return {
            "use": self._use.name,
            "lines": self._lines,
            "ms": round(self._seconds * 1000, 3),
            **self._use.processor.report(),
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """One traced line."""

    number: int
    path: tuple[str, ...]
    line: str


class Sample:
    """A few lines of every path that lines have taken, the first ones of each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[tuple[str, ...], list[Seen]] = {}

    def see(self, batch: Batch, how: str) -> None:
        """Keep the first lines of `batch`, which has left the routes in the way `how`."""
        path = (*batch.path, how)
        if len(path) > MAX_PATH:
            path = (*path[: MAX_PATH - 2], "...", how)
        seen = self._seen.get(path)
        if seen is None:
            if len(self._seen) == MAX_PATHS:
                return
            seen = self._seen[path] = []
        wanted = LINES_A_PATH - len(seen)
        for number, line in islice(zip(batch.numbers, batch.lines, strict=True), wanted):
            seen.append(Seen(number, path, line[:MAX_EXCERPT]))

    def report(self) -> list[JSON]:
        """Return as many lines as are wanted, from as many paths as possible, by number."""
        chosen: list[Seen] = []
        for turn in range(LINES_A_PATH):
            for seen in self._seen.values():
                if turn < len(seen) and len(chosen) < self._limit:
                    chosen.append(seen[turn])
        chosen.sort(key=lambda seen: seen.number)
        return [
            {"number": seen.number, "path": list(seen.path), "line": seen.line} for seen in chosen
        ]
