"""Ten thousand files at once: `python -m tests.faults.flood --files 10000`.

One user hands all of them in while the cluster works; in the middle another user hands in one.
All must succeed, the memory of the cluster must stay flat, and the other user's file must start
within 5 s. Prints what was found; exit code 1 where it does not hold.
"""

import argparse
import sys
import time
from statistics import median
from uuid import UUID

import psutil

from tests.faults.checker import violations
from tests.faults.house import Client, Cluster, house, until_idle, waiting

STARTS_WITHIN_S = 5.0
GROWTH_BYTES = 100 * 1024 * 1024  # of the whole cluster, from the first tenth to the last


def resident_bytes(cluster: Cluster) -> int:
    """Return the memory of the workers and of what is below them, shared pages counted once."""
    total = 0
    for kind in ("main", "sentinel", "pusher", "monitor", "worker", "zygote"):
        for process in cluster.family().get(kind, []):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    return total


def seconds_until_started(upload_id: UUID) -> float:
    """Wait until the run over an upload has started; return how long that took by its own row."""
    from processing.models import Run

    while True:
        run = Run.objects.get(upload=upload_id)
        if run.started_at is not None:
            return (run.started_at - run.created_at).total_seconds()
        time.sleep(0.05)


def main() -> int:
    """Run the flood and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with house():
        from processing.models import Run, RunState

        many, other = Client("many"), Client("other")
        began = time.monotonic()
        many.hand_in(asked.files)
        handed_in_s = time.monotonic() - began
        cluster = Cluster(asked.workers)
        memory: list[int] = []
        started_s = None
        try:
            while left := waiting():
                cluster.look_after()
                memory.append(resident_bytes(cluster))
                if started_s is None and left < asked.files * 0.7:
                    started_s = seconds_until_started(other.hand_in()[0])
                time.sleep(0.2)
            drained_s = time.monotonic() - began - handed_in_s
            until_idle(cluster, within_s=30)
        finally:
            cluster.stop()
        wrong = violations(many.acks | other.acks)
        failed = Run.objects.exclude(state=RunState.SUCCEEDED).count()
        settled = memory[len(memory) // 3 :]  # once everybody is warm
        tenth = max(1, len(settled) // 10)
        growth = median(settled[-tenth:]) - median(settled[:tenth])
        print(f"files: {asked.files}, {asked.files / drained_s:.0f} per s, {asked.workers} workers")
        print(f"not succeeded: {failed}, violations: {len(wrong)}")
        print(f"memory of all: {median(settled) / 2**20:.0f} MiB, grew {growth / 2**20:.1f} MiB")
        print(f"the other user's file started after {started_s or -1:.2f} s")
        for line in wrong:
            print(line)
    late = started_s is None or started_s > STARTS_WITHIN_S
    return bool(wrong or failed or growth > GROWTH_BYTES or late)


if __name__ == "__main__":
    sys.exit(main())
