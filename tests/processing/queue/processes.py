"""A cluster of real processes, and what becomes of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psutil
from django.conf import settings
from django.db import connection

from processing.models import Run, RunState

ROOT = Path(__file__).parents[3]
LEASE_S = 2.0
SILENCE_S = 60.0  # longer than any machine is slow: a cluster that takes it for a hang ends
# What a lost process may cost: the lease, two looks of the lookout, and a moment for the machine.
RECOVERY_S = LEASE_S * 4 / 3 + 4.0 + 2.0


class ClusterProcess:
    """`manage.py work` in a session of its own, as a terminal or a supervisor starts it."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int | None = None,
        is_hasty: bool = True,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._folder = folder
        self._silence_s = silence_s
        self._count = workers or settings.PROCESSING["WORKERS"]
        self._is_hasty = is_hasty
        self.behave()

    def behave(self, *, sleep_s: float = 0.0, is_deaf: bool = False) -> None:
        """Say how long a run takes from now on, and whether it minds being asked to stop."""
        behaviour = json.dumps({"sleep_s": sleep_s, "is_deaf": is_deaf})
        (self._folder / "behaviour.json").write_text(behaviour)

    def start(self) -> None:
        """Return when all its processes are there."""
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.processing.queue.settings",
            "STRONGROOM_DATA_DIR": str(settings.DATA_DIR),
            "STRONGROOM_DATABASE_URL": database_url(),
            "STRONGROOM_WORKERS": str(self._count),
            "STANDIN_DIR": str(self._folder),
        }
        if self._is_hasty:
            env |= {"STANDIN_LEASE_S": str(LEASE_S), "STANDIN_SILENCE_S": str(self._silence_s)}
        command = [sys.executable, "-m", "tests.processing.queue.standin"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
        until(self._is_complete, 30)

    def _is_complete(self) -> bool:
        assert self.process.poll() is None, "it did not start"
        names = Counter(map(name_of, self.children))
        return names == {
            "queue-sentinel": 1,
            "queue-pusher": 1,
            "queue-monitor": 1,
            "queue-worker": self._count,
        }

    @property
    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def named(self, name: str) -> list[int]:
        """Return the ids of the processes that are shown as `name`."""
        return [child.pid for child in self.children if name_of(child) == name]

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> None:
        """Kill what is left."""
        if hasattr(self, "process") and not self.has_ended():
            everybody = self.children
            self.process.kill()
            self.process.wait()
            psutil.wait_procs(everybody, 5)

    def count(self, what: str, *runs: object) -> int:
        """Return how often it happened to these runs."""
        ids = set(map(str, runs))
        return sum(event == what and run in ids for event, run, _ in self.log())

    def log(self) -> list[tuple[str, str, int]]:
        """Return what happened, to which run, and when, in monotonic nanoseconds."""
        log = self._folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(what, run, int(when)) for what, run, when in map(str.split, lines)]


def database_url() -> str:
    """Return the test's database, for another process."""
    place = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{place['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format_map(place)


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> float:
    """Wait until `condition` holds; return how long that took, in seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, "it never happened"
        time.sleep(0.02)
    return time.monotonic() - began


def until_succeeded(*runs: UUID) -> float:
    """Wait until the runs have succeeded; return how long that took, in seconds."""

    def have_succeeded() -> bool:
        states = Run.objects.filter(pk__in=runs).values_list("state", flat=True)
        return list(states) == [RunState.SUCCEEDED] * len(runs)

    return until(have_succeeded)


def survivors(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Return who is still alive after a while; the dead may wait longer to be buried."""
    _, there = psutil.wait_procs(processes, timeout_s)
    return [process for process in there if not is_dead(process)]


def is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
