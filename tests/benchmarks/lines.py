"""Line routing against a bare Python loop that does the same work, in the same run.

    python -m tests.benchmarks.lines               one million lines, five rounds
    python -m tests.benchmarks.lines --gib 1       also time and memory over 1 GiB

Two kinds of work: the example routes, where splitting names into words costs most, and light
ones without that, where the routing itself weighs most. Both sides write the same artifacts,
which is checked. Lines are made from a fixed seed. Seconds are those of the processor, so that
other work on the machine disturbs less.
"""

import argparse
import hashlib
import io
import random
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from processing.steps.contract import JSON, Output, StepContext
from processing.steps.lines import step
from processing.steps.lines.naming import snake_case
from processing.steps.lines.processors import EXAMPLE_RULES, reverse
from processing.steps.lines.settings import EXAMPLE_ROUTES

PARTS = ("ServerName", "requestId", "127.0.0.1", "GET", "/index.html", "took", "UserSession")


@dataclass(frozen=True)
class Work:
    """What is done to a line that is neither an error nor a warning, in both ways."""

    name: str
    change: Callable[[str], str]
    settings: Mapping[str, JSON]


WORKS = (
    Work("example routes", snake_case, {}),
    Work(
        "light routes",
        reverse,
        {
            "routes": {
                **EXAMPLE_ROUTES,
                "general": {"through": ["reverse", "count"], "to": "report"},
            }
        },
    ),
)


class Digest(io.RawIOBase):
    """An artifact of which only the digest is kept."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(cast(bytes, data))
        self.sha256.update(view)
        return len(view)


def make_lines(count: int) -> bytes:
    """Return `count` lines of a log; 1 % are errors and 4 % warnings."""
    draw = random.Random(20)
    pool = []
    for _ in range(5000):
        words = " ".join(draw.choices(PARTS, k=draw.randint(4, 14)))
        level = draw.choices(["INFO", "WARNING", "ERROR"], [95, 4, 1])[0]
        pool.append(f"  2024-05-0{draw.randint(1, 9)} {level} {words} \n")
    return "".join(draw.choices(pool, k=count)).encode()


def bare_loop(content: BinaryIO, work: Work) -> Mapping[str, Digest]:
    """Do it the way one would write it for this one purpose."""
    rules = [
        (rule["tag"], rule["words"], re.compile(rf"\b(?:{'|'.join(rule['words'])})\b"))
        for rule in cast(list[dict[str, Any]], EXAMPLE_RULES)
    ]
    files = {name: Digest() for name in ("lines.txt", "errors.txt", "warnings.txt")}
    out = {
        name: io.TextIOWrapper(io.BufferedWriter(file), "utf-8", newline="")
        for name, file in files.items()
    }
    count = {"errors": 0, "warnings": 0, "general": 0}
    characters = dict(count)
    tally = dict(count)
    for number, raw in enumerate(io.TextIOWrapper(content, "utf-8", errors="replace"), 1):
        line = raw.strip()
        lowered = line.lower()
        tag = "general"
        for candidate, words, whole in rules:
            if any(word in lowered for word in words) and whole.search(lowered):
                tag = candidate
                break
        if tag == "errors":
            line = line.upper()
        elif tag == "general":
            line = work.change(line)
        count[tag] += 1
        characters[tag] += len(line)
        if tag != "general":
            out[f"{tag}.txt"].write(line + "\n")
        tally[tag] += 1
        out["lines.txt"].write(f"{number:>6} [{tag}] {line}\n")
    for file in out.values():
        file.flush()
        file.detach()
    return files


def routed(content: BinaryIO, work: Work) -> tuple[Mapping[str, Digest], Output]:
    """Let the step do it."""
    files: dict[str, Digest] = {}

    def open_artifact(name: str, _media_type: str) -> BinaryIO:
        files[name] = Digest()
        return cast(BinaryIO, files[name])

    context = StepContext(content, 0, "text/plain", open_artifact, work.settings)
    return files, step.run(context)


def digests(files: Mapping[str, Digest]) -> dict[str, str]:
    return {name: file.sha256.hexdigest() for name, file in files.items()}


def compare(data: bytes, work: Work, rounds: int) -> None:
    """Print million lines per second of both, taken in turn, and their ratio."""
    if digests(bare_loop(io.BytesIO(data), work)) != digests(routed(io.BytesIO(data), work)[0]):
        sys.exit("The two do not write the same.")
    million = data.count(b"\n") / 1e6
    rates: list[list[float]] = [[], []]
    for _ in range(rounds):
        for series, does in zip(rates, (bare_loop, routed), strict=True):
            started = time.process_time()
            does(io.BytesIO(data), work)
            series.append(million / (time.process_time() - started))
    ratios = [step_rate / bare for bare, step_rate in zip(*rates, strict=True)]
    print(work.name)
    print(f"  bare loop     {spread(rates[0])} million lines/s of CPU")
    print(f"  line routing  {spread(rates[1])} million lines/s of CPU")
    print(f"  ratio         {spread(ratios)} (goal: at least 0.5)")


def spread(series: list[float]) -> str:
    return f"{statistics.median(series):.3f} ({min(series):.3f} to {max(series):.3f})"


class Generated(io.RawIOBase):
    """A file of `size` bytes that repeats a block and is nowhere in whole."""

    def __init__(self, block: bytes, size: int) -> None:
        self._block = block
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = self._at % len(self._block)
        length = min(len(buffer), self._size - self._at, len(self._block) - start)
        buffer[:length] = self._block[start : start + length]
        self._at += length
        return length


def measure_size(gib: float, work: Work) -> None:
    """Print time and the growth of the peak memory over a file of `gib` GiB.

    The peak before is that of the first 4 MiB, so that what is loaded once does not count.
    """
    block = make_lines(50_000)

    def run(size: int) -> tuple[float, Output]:
        started = time.process_time()
        _, output = routed(cast(BinaryIO, io.BufferedReader(Generated(block, size))), work)
        return time.process_time() - started, output

    run(4 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mib = int(gib * 1024)
    seconds, output = run(mib * 2**20)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{work.name}, {gib:g} GiB: {output['lines']:,} lines in {seconds:.1f} s of CPU")
    print(f"  {mib / seconds:.1f} MiB/s; the peak of memory, {before / 1024:.0f} MiB, ", end="")
    print(f"grew by {grown:.1f} MiB")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lines")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=float, default=0)
    wanted = parser.parse_args()
    if wanted.gib:
        measure_size(wanted.gib, WORKS[-1])
    data = make_lines(wanted.lines)
    print(f"{wanted.lines:,} lines, {len(data) / 2**20:.0f} MiB; medians of {wanted.rounds} rounds")
    for work in WORKS:
        compare(data, work, wanted.rounds)


if __name__ == "__main__":
    main()
