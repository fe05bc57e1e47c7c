"""The real thing: `manage.py up` in a data folder of its own, driven from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx2
import psutil

ROOT = Path(__file__).resolve().parent.parent
START_S = 90.0  # on a busy machine; what is promised is less, and measured where it counts
T = TypeVar("T")
PREPARE = """
import os, django
os.umask(0o077)
django.setup()
from django.conf import settings
from config.startup.first_login import make_first_accounts
from config.startup.preparing import prepare
list(prepare())
make_first_accounts(settings.DATA_DIR, "http://127.0.0.1")
"""
PARTS = {"web": "uvicorn", "worker": "work", "watcher": "watch", "nightly": "nightly"}


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], T], *, within_s: float, what: str = "") -> T:
    """Wait for `condition` to hold and return what it gave."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what or condition}"
        time.sleep(0.05)
    return value


def prepare(data: Path, output: IO[bytes] | None = None) -> None:
    """Make a data folder as a first start leaves it."""
    env = {
        **os.environ,
        "STRONGROOM_DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
    }
    command = [sys.executable, "-c", PREPARE]
    subprocess.run(command, cwd=ROOT, env=env, stdout=output, stderr=output, check=True)


class Stack:
    """One installation. It can be started again after a stop; its data stays."""

    def __init__(self, data: Path, *, port: int | None = None, **env: str) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = data.with_suffix(".log")
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "STRONGROOM_DATA_DIR": str(data),
            "STRONGROOM_PORT": str(self.port),
            **env,
        }
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process: subprocess.Popen[bytes] | None = None

    # --- Start and stop ---------------------------------------------------------------------

    def launch(self) -> subprocess.Popen[bytes]:
        """Start `up` in a process group of its own, as a shell does, and do not wait."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def start(self) -> float:
        """Start, and return how many seconds it took to be ready."""
        began = time.monotonic()
        process = self.launch()
        until(
            lambda: self.is_ready() or process.poll() is not None,
            within_s=START_S,
            what="READY",
        )
        assert process.poll() is None, self.output()
        return time.monotonic() - began

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Signal the whole process group, as Ctrl-C does; return the seconds until it ended."""
        assert self.process is not None
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        self.process.wait(timeout=30)
        return time.monotonic() - began

    def end(self) -> None:
        """Leave nothing running, whatever state it is in."""
        if self.process is None:
            return
        family = [*self.processes(), psutil.Process(self.process.pid)] if self._is_up() else []
        if self._is_up():
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in psutil.wait_procs(family, timeout=2)[1]:
            process.kill()

    def _is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        return f"READY {self.url}\n" in self.output()

    def output(self) -> str:
        """Return all that was printed since the last start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- What runs --------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Return all that `up` started, directly or not."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, name: str) -> psutil.Process:
        """Return the main process of a part."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            if PARTS[name] in child.cmdline():
                return child
        raise LookupError(name)

    def kill(self, name: str) -> list[psutil.Process]:
        """Kill -9 every process of a part; return them."""
        main = self.part(name)
        family = [main, *main.children(recursive=True)]
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        return family

    # --- What it serves ---------------------------------------------------------------------

    def login(self, name: str = "demo") -> dict[str, str]:
        """Return username and password of one of the first accounts."""
        found: dict[str, str] = json.loads((self.data / "first-login.json").read_text())[name]
        return found

    @contextmanager
    def client(self, name: str = "demo") -> Iterator[httpx2.Client]:
        """Yield an HTTP client that holds a token of the user."""
        with httpx2.Client(base_url=self.url, timeout=60) as client:
            answer = client.post("/api/v1/token/", json=self.login(name))
            assert answer.status_code == 200, answer.text
            client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
            yield client

    def drop_folder(self, name: str = "demo") -> Path:
        return self.data / "drop" / name


def upload(client: httpx2.Client, name: str, content: bytes, **fields: str) -> dict[str, Any]:
    """Hand in a file by multipart; return what the API says of it."""
    answer = client.post("/api/v1/uploads/", files={"file": (name, content)}, data=fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["Location"].endswith(f"/api/v1/uploads/{body['id']}/")
    return body


def ended(client: httpx2.Client, run_id: str, *, within_s: float = 60) -> dict[str, Any]:
    """Wait for a run to end and return it."""

    def run() -> dict[str, Any]:
        """Return nothing while it goes on, or while the web part is away."""
        try:
            found: dict[str, Any] = client.get(f"/api/v1/runs/{run_id}/").json()
        except httpx2.TransportError:
            return {}
        return found if found["state"] not in ("queued", "running") else {}

    return until(run, within_s=within_s, what=f"end of run {run_id}")
