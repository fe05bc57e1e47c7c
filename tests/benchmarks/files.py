"""Small files through five sandboxed steps: `python -m tests.benchmarks.files`.

A backlog of files of 10 KB, each with five steps, five records and one artifact, is drained by a
real cluster; in the same run, on the same machine and with as many processes, Celery drains a
backlog of tasks that do nothing, through Redis and with late acknowledgement: without results, and
with results kept in Redis, since ours are kept. The goal is half of its rate. Rates are taken from
when a tenth of a backlog is done to when a twentieth is left: neither side's start counts, nor the
end, when one worker has nothing to do any more. Below stand parts of our side alone, by the clock:
the sandbox, the disk, the records.
On SQLite, or on the empty database that STRONGROOM_DATABASE_URL names.

Celery is installed into a folder of its own (--celery FOLDER keeps it). Without Redis on
STRONGROOM_BENCH_REDIS, or with --alone, only our side is measured.
"""

import argparse
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import django
import psutil
from django.core.management import call_command

ROOT = Path(__file__).parents[2]
FILE_BYTES = 10 * 1024
# As little work as there is: it is the engine that is measured. `lines` makes the artifact, of
# lines that it passes on as they are.
STEPS: list[Any] = [{"name": f"step-{number}", "step": "checksum"} for number in range(4)]
STEPS.insert(2, {"step": "lines", "settings": {"routes": {"start": {"to": "end"}}}})
REDIS = os.environ.get("STRONGROOM_BENCH_REDIS", "redis://127.0.0.1:6379/15")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

CELERY_APP = """
import os
from celery import Celery
results = os.environ["BENCH_RESULTS"] == "1"
url = os.environ["BENCH_REDIS"]
app = Celery("bench", broker=url, backend=url if results else None)
app.conf.update(
    task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=not results,
    task_default_queue="strongroom-bench", broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
@app.task
def nothing():
    pass
"""


# --- Our side ---------------------------------------------------------------------------------


def prepare() -> Callable[[int], None]:
    """Return a maker of uploads, each with a run that is due."""
    from django.contrib.auth import get_user_model

    from processing.definitions import add_version, sync_builtin
    from processing.models import Pipeline
    from processing.pipelines import parse
    from uploads.intake import Offer, receive_upload
    from uploads.models import Door

    sync_builtin()
    pipeline, _ = Pipeline.objects.get_or_create(name="bench", defaults={"title": "Bench"})
    data = {"name": "bench", "title": "Bench", "media_types": ["text/plain"], "steps": STEPS}
    add_version(pipeline, parse(data))
    owner, _ = get_user_model().objects.get_or_create(username="bench")
    content = b"".join(b"%08d a line of a small file\n" % number for number in range(1000))

    def make(count: int) -> None:
        for number in range(count):
            offer = Offer(
                owner=owner,
                name=f"{number}.txt",
                declared_type="text/plain",
                door=Door.API,
                pipeline="bench",
            )
            receive_upload(offer, io.BytesIO(content[:FILE_BYTES]))

    return make


@contextmanager
def cluster(workers: int) -> Iterator[psutil.Process]:
    """Run `manage.py work` on the database and the data folder of this process."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "work"],
        cwd=ROOT,
        env={**os.environ, "STRONGROOM_WORKERS": str(workers)},
        stderr=subprocess.DEVNULL if "BENCH_LOUD" not in os.environ else None,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def drained(
    make: Callable[[int], None], count: int, workers: int
) -> tuple[float, float, dict[str, float]]:
    """Return files per second, the same with start and end, and milliseconds of processor time.

    The last are per file and by part.
    """
    from django.db.models import Max, Min

    from processing.models import Artifact, Run, RunState, StepRecord

    make(count)
    runs = Run.objects.filter(state=RunState.QUEUED)
    first = runs.aggregate(first=Min("created_at"))["first"]
    mine = Run.objects.filter(created_at__gte=first)
    server_before = server_cpu_s()
    with cluster(workers) as process:
        began_at: Any = None
        cpu_before: dict[str, float] = {}
        while mine.filter(state__in=(RunState.QUEUED, RunState.RUNNING)).exists():
            if began_at is None and mine.exclude(started_at=None).exists():
                began_at, cpu_before = time.time(), cpu_by_part(process)
            time.sleep(0.05)
        cpu = {
            part: seconds - cpu_before.get(part, 0.0)
            for part, seconds in cpu_by_part(process).items()
        }
        server = server_cpu_s(known=server_before)
    assert mine.filter(state=RunState.SUCCEEDED).count() == count, "not all succeeded"
    assert StepRecord.objects.filter(run__in=mine).count() == count * len(STEPS)
    assert Artifact.objects.filter(record__run__in=mine).count() == count
    span = mine.aggregate(first=Min("started_at"), last=Max("ended_at"))
    ends: list[Any] = list(mine.order_by("ended_at").values_list("ended_at", flat=True))
    first, last = ends[count // 10], ends[count * 19 // 20]
    within = sum(first < end <= last for end in ends)
    if server:
        cpu["database server"] = server
    costs = {part: seconds / count * 1e3 for part, seconds in cpu.items()}
    whole_s = (span["last"] - span["first"]).total_seconds()
    return within / (last - first).total_seconds(), count / whole_s, costs


def cpu_by_part(process: psutil.Process) -> dict[str, float]:
    """Return the seconds of processor time of each part of a cluster.

    The sandbox is the zygotes and the children that they have reaped.
    """
    parts: dict[str, float] = defaultdict(float)
    for each in [process, *process.children(recursive=True)]:
        try:
            name, _, rest = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")
        except OSError:
            continue  # a child that has just ended: its zygote has its account
        name = name.partition("(")[2]
        part = name.removeprefix("queue-") if name.startswith("queue-") else "sandbox"
        own, reaped = rest.split()[11:13], rest.split()[13:15]
        ticks = [*own, *reaped] if part == "sandbox" else own
        parts["main" if each == process else part] += sum(map(int, ticks)) * TICK_S
    return parts


def server_cpu_s(known: float = 0.0) -> float:
    """Return the processor time of the server's processes for this database, since `known`."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:13])) * TICK_S
    return total - known


# --- Parts ------------------------------------------------------------------------------------


def record_us(make: Callable[[int], None]) -> float:
    """Return the microseconds that one record of a bundle's 40 takes, from note to commit."""
    from django.utils import timezone

    from processing.journal import Journal, Note
    from processing.models import Run, RunState, StepRecord, StepState
    from processing.queue import Ending, ledger

    make(8)
    (claims,) = ledger.bundles("bench", size=8)
    runs = Run.objects.select_related("upload").in_bulk([claim.run_id for claim in claims])
    journal = Journal(lambda claim, error: Ending(RunState.FAILED))
    began = time.perf_counter()
    for claim in claims:
        for position in range(len(STEPS)):
            record = StepRecord(
                run=runs[claim.run_id],
                position=position,
                step=f"step-{position}",
                attempt=claim.fence,
                state=StepState.SUCCEEDED,
                started_at=timezone.now(),
                ended_at=timezone.now(),
                sealed_output=bytes(120),
            )
            journal.note(claim, Note(record))
        journal.leave(claim, Ending(RunState.SUCCEEDED))
    journal.flush()
    return (time.perf_counter() - began) / (len(claims) * len(STEPS)) * 1e6


def sandbox_ms(sandbox: Any, files_per_child: int, files: int = 64) -> float:
    """Return the milliseconds that the sandbox adds to a file of five steps."""
    from processing.steps import checksum
    from processing.steps.contract import StepContext
    from tests.source import BytesSource

    content = bytes(FILE_BYTES)
    began = time.perf_counter()
    for _ in range(files * len(STEPS)):
        checksum.run(StepContext(io.BytesIO(content), FILE_BYTES, "text/plain", io.BytesIO))  # type: ignore[arg-type]
    bare_s = time.perf_counter() - began
    sitting = sandbox.sitting(files_per_child=files_per_child)
    began = time.perf_counter()
    for _ in range(files):
        with sitting.open(BytesSource(content), "text/plain", owner=UUID(int=1)) as session:
            for _ in STEPS:
                session.run("checksum", settings={}, results={}, open_artifact=None)
    sitting.close()
    return (time.perf_counter() - began - bare_s) / files * 1e3


def durable_ms(artifacts: int) -> float:
    """Return the milliseconds that one of so many artifacts, made durable together, waits."""
    from concurrent.futures import ThreadPoolExecutor

    from uploads.storage import store

    sinks = [(blob_id, store().create(blob_id)) for blob_id in (uuid4() for _ in range(artifacts))]
    for _, sink in sinks:
        sink.write(bytes(FILE_BYTES))
    with ThreadPoolExecutor(8) as pool:
        began = time.perf_counter()
        list(pool.map(lambda each: each[1].commit(), sinks))
        took_s = time.perf_counter() - began
    for blob_id, _ in sinks:
        store().remove(blob_id)
    return took_s / artifacts * 1e3


# --- The peer ---------------------------------------------------------------------------------


def celery_rate(count: int, workers: int, folder: Path, *, results: bool) -> float:
    """Return how many tasks a second Celery drains that do nothing, with or without a result."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "celery[redis]==5.6.3"], check=True)
    (folder / "bench_app.py").write_text(CELERY_APP)
    env = {
        **os.environ,
        "BENCH_REDIS": REDIS,
        "BENCH_RESULTS": str(int(results)),
        "PYTHONPATH": str(folder),
    }
    fill = (
        "import bench_app, sys\n"
        "connection = bench_app.app.broker_connection()\n"
        "connection.default_channel.client.delete('strongroom-bench')\n"
        f"[bench_app.nothing.delay() for _ in range({count})]"
    )
    watch = (
        "import bench_app, sys, time\n"
        "r = bench_app.app.broker_connection().default_channel.client\n"
        "left = lambda: r.llen('strongroom-bench') + r.hlen('unacked')\n"
        f"while left() > {count} * 0.9: time.sleep(0.005)\n"
        "a, n = time.time(), left()\n"
        f"while left() > {count} * 0.05: time.sleep(0.005)\n"
        "print((n - left()) / (time.time() - a))"
    )
    subprocess.run([python, "-c", fill], env=env, check=True)
    worker = subprocess.Popen(
        [python, "-m", "celery", "-A", "bench_app", "worker", "-c", str(workers), "-l", "ERROR"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        done = subprocess.run([python, "-c", watch], env=env, check=True, capture_output=True)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # nothing of it is needed any more
        worker.wait()
    return float(done.stdout)


def tell(what: str, values: list[float], unit: str) -> None:
    spread = f"{min(values):.2f} to {max(values):.2f}"
    print(f"{what:<34} {median(values):9.2f} {unit}  ({spread})", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=1000, help="per round")
    parser.add_argument("--tasks", type=int, default=8000, help="of Celery, per round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without Celery")
    parser.add_argument("--celery", type=Path, help="folder for Celery's environment")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STRONGROOM_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.local"
        measure(asked, Path(folder))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    """Measure both sides in turns, and print what came out."""
    django.setup()
    logging.disable(logging.INFO)
    call_command("migrate", verbosity=0)
    from django.db import connection

    from processing.sandbox import Sandbox

    make = prepare()
    ours: list[tuple[float, float, dict[str, float]]] = []
    peers: dict[bool, list[float]] = {}
    celery = asked.celery or folder / "celery"
    for _ in range(asked.rounds):
        ours.append(drained(make, asked.files, asked.workers))
        if not asked.alone:
            for results in (False, True):
                rate = celery_rate(asked.tasks, asked.workers, celery, results=results)
                peers.setdefault(results, []).append(rate)
    print(f"{connection.vendor}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    tell("files drained", [rate for rate, _, _ in ours], "per s")
    tell("  with start and end", [rate for _, rate, _ in ours], "per s")
    tell("processor time", [sum(costs.values()) for _, _, costs in ours], "ms per file")
    for part in dict.fromkeys(part for _, _, costs in ours for part in costs):
        tell(f"  of which {part}", [costs.get(part, 0.0) for _, _, costs in ours], "ms")
    with Sandbox() as sandbox:
        tell("one record", [record_us(make) for _ in range(asked.rounds)], "us")
        for count in (1, 32):
            times = [sandbox_ms(sandbox, count) for _ in range(asked.rounds)]
            tell(f"sandbox alone, {count} to a child", times, "ms per file")
    for count in (1, 32):
        times = [durable_ms(count) for _ in range(asked.rounds)]
        tell(f"artifact durable, {count} at once", times, "ms per file")
    for results, rates in peers.items():
        what = "results kept" if results else "no results"
        tell(f"Celery, nothing to do, {what}", rates, "per s")
        tell("  ratio", [our[0] / rate for our, rate in zip(ours, rates, strict=True)], "")
        whole = [our[1] / rate for our, rate in zip(ours, rates, strict=True)]
        tell("  ratio, with our start and end", whole, "")


if __name__ == "__main__":
    main()
