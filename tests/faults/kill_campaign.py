"""SIGKILL at random moments, then the books: `python -m tests.faults.kill_campaign --kills 1000`.

Files come in all the time while processes of the cluster are killed: one, or a few, or all. When
all is quiet again, `checker` says whether anything was lost, doubled or left over. Prints a report
in Markdown; exit code 1 where something is wrong. Without a failure in n kills, the rate of
failures is below 3/n (with 95 % confidence).
"""

import argparse
import random
import sys
import time
from collections import Counter

import psutil

from tests.faults.checker import violations
from tests.faults.house import Client, Cluster, house, until_idle, waiting

# What is killed, and how often in a hundred kills.
TARGETS = {
    "worker": 30,
    "child": 15,
    "zygote": 15,
    "pusher": 8,
    "monitor": 5,
    "sentinel": 7,
    "main": 10,
    "everything": 10,
}
BACKLOG = 60  # runs that wait, at the least, while there are kills
MAX_PAUSE_S = 1.5
# How a run ends that was interrupted in all its attempts.
GIVEN_UP = frozenset({"attempts_exhausted", "sandbox_lost", "sandbox_not_started"})


def kill(cluster: Cluster, target: str) -> bool:
    """Kill one process of the kind `target`; False where there is none at the moment."""
    family = cluster.family()
    if target == "everything":
        victims = [each for some in family.values() for each in some]
    else:
        victims = random.sample(family.get(target, []), min(1, len(family.get(target, []))))
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    return bool(victims)


def storm(cluster: Cluster, client: Client, kills: int) -> Counter[str]:
    """Kill so often, and hand files in meanwhile; return how often what was killed."""
    done: Counter[str] = Counter()
    while done.total() < kills:
        client.hand_in(max(0, BACKLOG - waiting()))
        time.sleep(random.uniform(0, MAX_PAUSE_S))
        (target,) = random.choices(list(TARGETS), list(TARGETS.values()))
        if kill(cluster, target):
            done[target] += 1
        cluster.look_after()
    return done


def retried() -> Counter[str]:
    """Queue again what failed, and return why: a killed child is told as the system's doing.

    What is tried again may be given up when as many attempts were interrupted as there are, no
    sooner. An attempt whose worker was killed leaves an abandoned record, one whose sandbox was
    killed a failed one.
    """
    from django.conf import settings

    from processing.models import Run, RunState, StepState
    from processing.runs import retry_run

    reasons: Counter[str] = Counter()
    for run in Run.objects.filter(state=RunState.FAILED):
        interrupted = run.records.filter(state__in=(StepState.ABANDONED, StepState.FAILED)).count()
        early = run.error_code in GIVEN_UP and interrupted < settings.PROCESSING["MAX_ATTEMPTS"]
        reasons[f"{run.error_code} too early" if early else run.error_code] += 1
        retry_run(run)
    return reasons


def main() -> int:
    """Run the campaign and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    random.seed(asked.seed)
    with house():
        from django.db import connection

        from processing.models import Run, RunState, StepRecord

        began = time.monotonic()
        client = Client("storm")
        cluster = Cluster(asked.workers)
        try:
            done = storm(cluster, client, asked.kills)
            until_idle(cluster, within_s=120)
            reasons = retried()
            until_idle(cluster, within_s=120)
        finally:
            cluster.stop()
        wrong = violations(client.acks)
        not_succeeded = Run.objects.exclude(state=RunState.SUCCEEDED).count()
        if not_succeeded:
            wrong.append(f"{not_succeeded} runs did not succeed in the end")
        unexpected = set(reasons) - {"step_out_of_memory", *GIVEN_UP}
        wrong += [f"runs failed with {code}" for code in sorted(unexpected)]
        states = Counter(StepRecord.objects.values_list("state", flat=True))
        print(f"# Kill campaign: {done.total()} kills, {len(wrong)} violations\n")
        print(f"- seed {asked.seed}, {connection.vendor}, {asked.workers} workers, lease 3 s")
        print(f"- {time.monotonic() - began:.0f} s, {cluster.starts} starts of the cluster")
        print(f"- files acknowledged: {len(client.acks)}")
        print(f"- step records: {dict(states)}")
        print(f"- failed with a reason, then retried by the owner: {dict(reasons)}")
        print(f"- failures per kill below {3 / max(1, done.total()):.4f} (95 %)\n")
        print("| killed | times |\n|---|---|")
        for target, count in done.most_common():
            print(f"| {target} | {count} |")
        for line in wrong:
            print(f"- **{line}**")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
