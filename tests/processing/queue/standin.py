"""`manage.py work` with a stand-in for the work on a file.

It behaves as `behaviour.json` in STANDIN_DIR says, read anew for each run, and writes a line into
`log` for each thing that happens to a run.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

FOLDER = Path(os.environ["STANDIN_DIR"])


def note(what: str, claim: Any) -> None:
    line = f"{what} {claim.run_id} {time.monotonic_ns()}\n"
    descriptor = os.open(FOLDER / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def execute(*claims: Any) -> None:
    for claim in claims:
        execute_one(claim)


def execute_one(claim: Any) -> None:
    from django.utils import timezone

    from processing import queue
    from processing.models import RunState

    note("began", claim)
    behaviour = json.loads((FOLDER / "behaviour.json").read_text())
    end = time.monotonic() + behaviour["sleep_s"]
    while (left := end - time.monotonic()) > 0:
        if queue.stopping() and not behaviour["is_deaf"]:
            queue.release(claim, due_at=timezone.now(), counts=False)
            note("released", claim)
            return
        time.sleep(min(0.1, left))
        queue.renew(claim)
    queue.finish(claim, RunState.SUCCEEDED)
    note("finished", claim)


def main() -> None:
    django.setup()

    from processing import runner
    from processing.queue import cluster, heartbeat, lookout, tasks

    runner.execute = execute
    runner.prepare = lambda: None  # there is no work on files
    tasks.BUNDLE = 1
    if "STANDIN_SILENCE_S" in os.environ:
        heartbeat.BEAT_S = 1.0
        heartbeat.SILENCE_S = float(os.environ["STANDIN_SILENCE_S"])
        cluster.WATCH_S = 0.5
        lookout.PAUSE_S = 0.5
    call_command("work")


if __name__ == "__main__":
    main()
