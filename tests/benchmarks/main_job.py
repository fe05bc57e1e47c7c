"""The main job against its figures: latency, files per second, CPU and memory.

    python -m tests.benchmarks.main_job [latency] [throughput] [memory]

Starts `manage.py up` in a temporary data folder on embedded defaults, and measures from outside:
over HTTP as a program would, in Chromium as a person would, and in /proc.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import yaml

from tests.stack import free_port

ROOT = Path(__file__).parents[2]
ROUNDS = 60
FILES = 300
SENDERS = 4
GIB = 1024**3
FIVE_STEPS = {
    "name": "five",
    "title": "Five steps",
    "media_types": ["application/x-nothing"],
    "steps": [
        {"name": "checksum", "step": "checksum"},
        {"name": "type", "step": "media_type"},
        {"name": "profile", "step": "csv_profile"},
        {"name": "lines", "step": "lines"},
        {"name": "again", "step": "checksum"},
    ],
}


@dataclass
class Running:
    """A running system: where it is, whose it is, which processes it has."""

    url: str
    main: psutil.Process
    username: str
    password: str

    def client(self) -> httpx2.Client:
        """Return a client with a fresh token."""
        credentials = {"username": self.username, "password": self.password}
        token = httpx2.post(f"{self.url}/api/v1/token/", json=credentials).json()["access"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.url, timeout=600, headers=headers)

    def part(self, name: str) -> list[psutil.Process]:
        """Return the processes of the web server or of the worker, children included."""
        mark = {"web": "uvicorn", "worker": "work", "watcher": "watch"}[name]
        heads = [p for p in self.main.children() if mark in p.cmdline()]
        return [q for p in heads for q in [p, *p.children(recursive=True)]]

    def cpu_s(self, name: str) -> float:
        """Return the CPU seconds that a part has used, ended children of it included."""
        total = 0.0
        for process in self.part(name):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self, name: str) -> int:
        """Return the bytes that a part has for itself: shared pages are counted once."""
        total = 0
        for process in self.part(name):
            with suppress(psutil.NoSuchProcess):  # children of steps come and go
                total += process.memory_full_info().pss
        return total


@contextmanager
def running() -> Iterator[Running]:
    """Start everything in a temporary folder; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder:
        port = free_port()
        env = {
            **os.environ,
            "STRONGROOM_DATA_DIR": folder,
            "STRONGROOM_PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
        }
        _add_five_steps(env)
        main = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert main.stdout is not None
        for line in main.stdout:
            if line.startswith("READY"):
                break
        threading.Thread(target=main.stdout.read, daemon=True).start()
        demo = json.loads((Path(folder) / "first-login.json").read_text())["demo"]
        try:
            yield Running(f"http://127.0.0.1:{port}", psutil.Process(main.pid), **demo)
        finally:
            main.send_signal(signal.SIGINT)
            main.wait(20)


def _add_five_steps(env: dict[str, str]) -> None:
    script = (
        "import sys, yaml; from processing import definitions, pipelines, models;"
        "d = pipelines.parse(yaml.safe_load(sys.stdin.read()));"
        "p = models.Pipeline.objects.create(name=d.name, title=d.title);"
        "definitions.add_version(p, d)"
    )
    manage = [sys.executable, "manage.py"]
    subprocess.run(
        [*manage, "migrate", "-v0"], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(
        [*manage, "shell", "-v0", "-c", script],
        input=yaml.safe_dump(FIVE_STEPS),
        text=True,
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def table(size_bytes: int) -> bytes:
    """Return a CSV file of about so many bytes."""
    row = b"2026-11-23,ERROR,disk 7 is nearly full,0.93\n"
    return b"day,level,message,share\n" + row * (size_bytes // len(row))


def wait_for(client: httpx2.Client, run: str) -> dict[str, Any]:
    """Return the run once it has ended."""
    while True:
        body: dict[str, Any] = client.get(f"/api/v1/runs/{run}/").json()
        if body["state"] not in {"queued", "running"}:
            return body
        time.sleep(0.005)


def spread(values: list[float], unit: str) -> str:
    """Return median, p95 and worst of some measurements."""
    ordered = sorted(values)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return (
        f"p50 {statistics.median(ordered):.3g} {unit}, p95 {p95:.3g} {unit}, "
        f"worst {ordered[-1]:.3g} {unit}, n={len(ordered)}"
    )


def latency(system: Running) -> None:
    """From the last byte of a 100 KB file to `succeeded`, over the API and in an open page."""
    from tests.browser.browsing import DESK, chromium, sign_in, without_motion

    content = table(100_000)
    over_api, in_page = [], []
    with system.client() as client, chromium() as browser:
        page = without_motion(browser, size=DESK, scheme="light").new_page()
        sign_in(page, system.url, system.username, system.password)
        page.goto(f"{system.url}/")
        for number in range(ROUNDS):
            name = f"table-{number}.csv"
            made = client.post("/api/v1/uploads/", files={"file": (name, content, "text/csv")})
            last_byte = time.monotonic() - made.elapsed.total_seconds()
            wait_for(client, made.json()["run"])
            over_api.append(time.monotonic() - last_byte)
            row = page.locator("tr", has_text=name).filter(has_text="Succeeded")
            row.first.wait_for(timeout=10_000)
            in_page.append(time.monotonic() - last_byte)
            time.sleep(0.2)
    print(f"last byte to succeeded, over the API: {spread(over_api, 's')}")
    print(f"last byte to succeeded, in the page:  {spread(in_page, 's')}")


def throughput(system: Running) -> None:
    """Small files end to end: upload over HTTP, five steps, one artifact and more."""
    content = table(10_000)
    with system.client() as client:
        for _ in range(4):  # warm
            wait_for(client, _send(client, content))
    before = {part: system.cpu_s(part) for part in ("web", "worker")}
    began = time.monotonic()
    runs: list[str] = []

    def send() -> None:
        with system.client() as client:
            runs.extend(_send(client, content) for _ in range(FILES // SENDERS))

    _together(send)
    sent_s = time.monotonic() - began
    web_s = system.cpu_s("web") - before["web"]
    with system.client() as client:
        while client.get("/api/v1/stats/").json()["by_state"]["succeeded"] < len(runs) + 4:
            time.sleep(0.1)
    whole_s = time.monotonic() - began
    worker_s = system.cpu_s("worker") - before["worker"]
    print(f"small files: {len(runs)} of 10 KB, five steps each, two workers, {SENDERS} senders")
    rates = (len(runs) / sent_s, len(runs) / whole_s)
    print("  accepted {:.1f} a second, finished {:.1f} a second".format(*rates))
    for part, cpu_s in (("web", web_s), ("worker", worker_s)):
        print(f"  {part}: {cpu_s / len(runs) * 1000:.1f} CPU ms a file")
    print("  database: SQLite, inside web and worker")


def _send(client: httpx2.Client, content: bytes) -> str:
    data = {"pipeline": "five"}
    made = client.post(
        "/api/v1/uploads/", data=data, files={"file": ("small.csv", content, "text/csv")}
    )
    made.raise_for_status()
    return str(made.json()["run"])


def _together(job: Callable[[], None]) -> None:
    threads = [threading.Thread(target=job) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Gibibyte:
    """A text of 1 GiB that nobody holds in memory."""

    line = b"2026-11-23 12:00:00 INFO request 4711 took 12 ms\n"
    piece = line * (1024 * 1024 // len(line))

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(GIB // len(self.piece)):
            yield self.piece


def memory(system: Running) -> None:
    """What web and worker need above idle while 1 GiB of text comes in and is worked on."""
    with system.client() as client:
        wait_for(client, _send(client, table(10_000)))
        idle = {part: system.memory(part) for part in ("web", "worker")}
        peak = dict(idle)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                for part, highest in peak.items():
                    peak[part] = max(highest, system.memory(part))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        made = client.put("/api/v1/uploads/big.log", content=iter(_Gibibyte())).json()
        sent_s = time.monotonic() - began
        run = wait_for(client, made["run"])
        whole_s = time.monotonic() - began
        done.set()
        watcher.join()
    if run["state"] != "succeeded":
        raise SystemExit(f"The run ended as {run['state']}: {run['error_code']}.")
    print(f"1 GiB of text: received in {sent_s:.1f} s, worked on in {whole_s - sent_s:.1f} s")
    for part, start in idle.items():
        above = (peak[part] - start) / 1024**2
        print(f"  {part}: {start / 1024**2:.0f} MiB idle, at most {above:.0f} MiB above it (PSS)")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["latency", "throughput", "memory"]
    with running() as system:
        for name in wanted:
            globals()[name](system)
