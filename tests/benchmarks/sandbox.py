"""What the sandbox costs: `python -m tests.benchmarks.sandbox`. Also the registry it measures with.

- session: `open`, the fork, the lockdown and one step that does nothing; the session before it
  has been closed and reaped
- sessions in a row: the same, while the zygote still reaps the one before
- step: one more step that does nothing, in an open session
- small file: a step that reads 10 KB
- stream: a step that reads 1 GiB in pieces of 1 MiB
"""

import os
import statistics
import time
from collections.abc import Sequence

import psutil

from processing.sandbox import ArtifactSink, Sandbox, Session
from processing.steps.contract import MIB, Output, Step, StepContext
from tests.source import BytesSource

SESSIONS = 200
STEPS = 1000
STREAM_BYTES = 1024 * MIB
STREAMS = 5


def nothing(context: StepContext) -> Output:
    """Do nothing."""
    return {}


def read(context: StepContext) -> Output:
    """Read the content, and do nothing with it."""
    size = 0
    while chunk := context.content.read(MIB):
        size += len(chunk)
    return {"size": size}


REGISTRY = {run.__name__: Step(run.__name__, run, run.__name__) for run in (nothing, read)}
get = REGISTRY.__getitem__


class Endless:
    """A source that costs nothing to read."""

    size = STREAM_BYTES
    _zeros = bytes(MIB)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return zeros."""
        return self._zeros[: min(length, self.size - offset)]


def refuse(name: str, media_type: str) -> ArtifactSink:
    """Take no artifact."""
    raise NotImplementedError


def run(session: Session, name: str) -> None:
    """Run a step without settings."""
    session.run(name, settings={}, results={}, open_artifact=refuse)


def timed(session: Session, name: str) -> float:
    """Run a step without settings and return how many seconds that took."""
    started = time.perf_counter()
    run(session, name)
    return time.perf_counter() - started


def report(what: str, values: Sequence[float], unit: str) -> None:
    """Print the median of `values`, and their 5th and 95th percentile."""
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    print(
        f"{what:<22}{statistics.median(values):9.2f} {unit:<6}"
        f"(5 %: {cuts[0]:.2f}, 95 %: {cuts[-1]:.2f}, n = {len(values)})"
    )


def cpu_ms(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time of `processes` and of their reaped children."""
    return 1000 * sum(sum(process.cpu_times()[:4]) for process in processes)


def measure_sessions(sandbox: Sandbox, *, pause_s: float) -> list[float]:
    """Return the milliseconds that each of `SESSIONS` sessions took until its first answer."""
    source = BytesSource(bytes(10_000))
    durations = []
    for _ in range(SESSIONS):
        time.sleep(pause_s)
        started = time.perf_counter()
        with sandbox.open(source, "application/octet-stream") as session:
            run(session, "nothing")
            durations.append(1000 * (time.perf_counter() - started))
    return durations


def main() -> None:
    """Measure and print."""
    print(f"load before: {os.getloadavg()[0]:.2f}, CPUs: {os.cpu_count()}, {Sandbox.support()}")
    started = time.perf_counter()
    with Sandbox(registry="tests.benchmarks.sandbox") as sandbox:
        print(f"{'zygote':<22}{time.perf_counter() - started:9.2f} s")
        processes = [psutil.Process(), *psutil.Process().children()]
        report("session", measure_sessions(sandbox, pause_s=0.01), "ms")
        before = cpu_ms(processes)
        report("sessions in a row", measure_sessions(sandbox, pause_s=0.0), "ms")
        time.sleep(0.1)
        print(f"{'CPU a session':<22}{(cpu_ms(processes) - before) / SESSIONS:9.2f} ms")
        with sandbox.open(BytesSource(bytes(10_000)), "application/octet-stream") as session:
            for what, step in (("step", "nothing"), ("small file", "read")):
                times = [timed(session, step) for _ in range(STEPS)]
                report(what, [1000 * seconds for seconds in times], "ms")
        with sandbox.open(Endless(), "application/octet-stream") as session:
            times = [timed(session, "read") for _ in range(STREAMS)]
            report("stream", [STREAM_BYTES / MIB / seconds for seconds in times], "MiB/s")


if __name__ == "__main__":
    main()
