"""The queue with nothing to do and with nothing in the way: `python -m tests.benchmarks.queue`.

A real cluster, whose runs do nothing but end. Measures the time from the commit of a run to the
start of its execution while the cluster is idle, the processor's time of an idle cluster, and how
fast a backlog is drained. On SQLite, or on the empty database that STRONGROOM_DATABASE_URL names.
Prints medians and the spread over the rounds.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django
from django.core.management import call_command

if TYPE_CHECKING:
    from tests.processing.queue.processes import ClusterProcess

MakeRuns = Callable[[int], list[UUID]]


def maker() -> MakeRuns:
    """Return a maker of runs that are due, each with a queue entry, in one transaction."""
    from django.contrib.auth import get_user_model
    from django.db import transaction
    from django.utils import timezone

    from processing.models import Pipeline, PipelineVersion, Run
    from processing.queue import submit
    from uploads.models import Door, Upload

    owner = get_user_model().objects.create_user("bench")
    pipeline = Pipeline.objects.create(name="nothing", title="Nothing")
    version = PipelineVersion.objects.create(pipeline=pipeline, number=1, definition={})

    @transaction.atomic
    def make(count: int) -> list[UUID]:
        now = timezone.now()
        upload: dict[str, Any] = {
            "owner": owner,
            "sealed_name": b"",
            "size": 1,
            "door": Door.API,
            "began_at": now,
            "created_at": now,
        }
        uploads = Upload.objects.bulk_create(Upload(**upload) for _ in range(count))
        runs = Run.objects.bulk_create(
            Run(upload=each, owner=owner, version=version, due_at=now, created_at=now)
            for each in uploads
        )
        for run in runs:
            submit(run.pk)
        return [run.pk for run in runs]

    return make


def latencies_ms(cluster: "ClusterProcess", make: MakeRuns, count: int) -> list[float]:
    """Return the time from commit to execution of single runs, at random moments."""
    from django.db import transaction

    stamps: list[int] = []
    runs: list[UUID] = []
    for _ in range(count):
        time.sleep(random.uniform(0.02, 0.3))
        with transaction.atomic():
            transaction.on_commit(lambda: stamps.append(time.monotonic_ns()))
            runs += make(1)
    committed = dict(zip(map(str, runs), stamps, strict=True))
    wait_for(cluster, list(committed))
    began = {run: when for what, run, when in cluster.log() if what == "began"}
    return [(began[run] - when) / 1e6 for run, when in committed.items()]


def idle_percent(cluster: "ClusterProcess", seconds: float) -> float:
    """Return the share of one core that the idle cluster takes."""
    before = cpu_s(cluster)
    time.sleep(seconds)
    return (cpu_s(cluster) - before) / seconds * 100


def drained(cluster: "ClusterProcess", make: MakeRuns, count: int) -> tuple[float, float]:
    """Return runs per second, and milliseconds of processor time per run, of a backlog."""
    before = cpu_s(cluster)
    runs = set(map(str, make(count)))
    wait_for(cluster, list(runs))
    times = [when for _, run, when in cluster.log() if run in runs]
    took_s = (max(times) - min(times)) / 1e9
    return count / took_s, (cpu_s(cluster) - before) / count * 1e3


def commits_per_s(count: int = 100) -> float:
    """Return how fast this database commits a change of one row: a run takes two commits."""
    from processing.models import Pipeline

    began = time.monotonic()
    for number in range(count):
        Pipeline.objects.update(title=str(number))
    return count / (time.monotonic() - began)


def wait_for(cluster: "ClusterProcess", runs: list[str]) -> None:
    while cluster.count("finished", *runs) < len(runs):
        time.sleep(0.2)


def cpu_s(cluster: "ClusterProcess") -> float:
    """Return the processor time of the cluster so far, from the scheduler's own account."""
    pids = [cluster.process.pid, *(child.pid for child in cluster.children)]
    nanoseconds = [int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids]
    return sum(nanoseconds) / 1e9


def tell(what: str, values: list[float], unit: str) -> None:
    spread = f"{min(values):.2f} to {max(values):.2f}"
    print(f"{what:<28} {median(values):9.2f} {unit}  ({spread})", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--singles", type=int, default=100, help="runs per round, for the latency")
    parser.add_argument("--backlog", type=int, default=1000, help="runs per round, drained")
    parser.add_argument("--idle-s", type=float, default=10)
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    call_command("migrate", verbosity=0)

    from django.db import connection

    from tests.processing.queue.processes import ClusterProcess

    make = maker()
    with tempfile.TemporaryDirectory() as folder:
        cluster = ClusterProcess(Path(folder), is_hasty=False)
        cluster.start()
        try:
            latencies_ms(cluster, make, 5)  # warm
            singles = [latencies_ms(cluster, make, asked.singles) for _ in range(asked.rounds)]
            idle = [idle_percent(cluster, asked.idle_s) for _ in range(asked.rounds)]
            commits = [commits_per_s() for _ in range(asked.rounds)]
            backlog = [drained(cluster, make, asked.backlog) for _ in range(asked.rounds)]
        finally:
            cluster.end()
    cuts = [quantiles(values, n=100) for values in singles]
    print(f"{connection.vendor}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    tell("picked up, p50", [cut[49] for cut in cuts], "ms")
    tell("picked up, p99", [cut[98] for cut in cuts], "ms")
    tell("idle", idle, "% of a core")
    tell("commits alone", commits, "per s")
    tell("drained", [rate for rate, _ in backlog], "runs/s")
    tell("drained", [cost for _, cost in backlog], "ms of processor/run")


if __name__ == "__main__":
    main()
