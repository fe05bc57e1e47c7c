"""An installation of its own for a campaign: a data folder, a database, a cluster, and acks."""

import hashlib
import io
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

ROOT = Path(__file__).parents[2]
LEASE_S = "3"


@contextmanager
def house() -> Iterator[Path]:
    """Set Django up in a folder of its own; the database is SQLite, unless the environment names
    another one, which must be empty."""
    with tempfile.TemporaryDirectory(prefix="strongroom-faults-") as folder:
        os.environ["STRONGROOM_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.faults.settings"
        os.environ["FAULTS_LEASE_S"] = LEASE_S
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        from processing.definitions import sync_builtin

        sync_builtin()
        yield Path(folder)


class Cluster:
    """`manage.py work`, started again whenever it has ended, as a supervisor does."""

    def __init__(self, workers: int = 2) -> None:
        self._env = {**os.environ, "STRONGROOM_WORKERS": str(workers)}
        self.starts = 0
        self._start()

    def _start(self) -> None:
        self.starts += 1
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "work"],
            cwd=ROOT,
            env=self._env,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def look_after(self) -> None:
        """Start it again if it has ended."""
        if self.process.poll() is not None:
            self._start()

    def family(self) -> dict[str, list[psutil.Process]]:
        """Return its processes by what they are; the sandbox is zygotes and children."""
        found: dict[str, list[psutil.Process]] = {}
        try:
            main = psutil.Process(self.process.pid)
            everybody = [("main", main), *((name_of(each), each) for each in descendants(main))]
        except psutil.NoSuchProcess:
            return {}
        for name, process in everybody:
            found.setdefault(name, []).append(process)
        return found

    def stop(self) -> None:
        """Stop it in order."""
        self.process.terminate()
        self.process.wait(30)


def descendants(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def name_of(process: psutil.Process) -> str:
    """Return what a process of a cluster is."""
    try:
        name = process.name()
        if name.startswith("queue-"):
            return name.removeprefix("queue-")
        parent = process.parent()
        return "zygote" if parent and parent.name() == "queue-worker" else "child"
    except psutil.NoSuchProcess:
        return "gone"


@dataclass
class Client:
    """Hands files in for one user, and keeps what was acknowledged, outside of the system."""

    username: str
    acks: dict[UUID, str] = field(default_factory=dict)  # upload -> sha256

    def __post_init__(self) -> None:
        from django.contrib.auth import get_user_model

        self.user: Any = get_user_model().objects.create_user(self.username)

    def hand_in(self, count: int = 1) -> list[UUID]:
        from uploads.intake import Offer, receive_upload
        from uploads.models import Door

        uploads = []
        for _ in range(count):
            lines = random.randint(1, 400)
            content = b"".join(
                b"%s line %d\n" % (random.randbytes(4).hex().encode(), n) for n in range(lines)
            )
            offer = Offer(owner=self.user, name="a.txt", declared_type="text/plain", door=Door.API)
            upload = receive_upload(offer, io.BytesIO(content))
            self.acks[upload.pk] = hashlib.sha256(content).hexdigest()
            uploads.append(upload.pk)
        return uploads


def waiting() -> int:
    """Return how many runs have not ended."""
    from processing.models import Run, RunState

    return Run.objects.filter(state__in=(RunState.QUEUED, RunState.RUNNING)).count()


def until_idle(cluster: Cluster, *, within_s: float) -> None:
    """Wait until every run has ended."""
    end = time.monotonic() + within_s
    while waiting():
        if time.monotonic() > end:
            raise TimeoutError(f"{waiting()} runs have not ended")
        cluster.look_after()
        time.sleep(0.1)
