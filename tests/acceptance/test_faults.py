"""Kill -9 of every part in the middle of its work: nothing accepted is lost or doubled."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx2
import psutil
import pytest

from tests.stack import Stack, ended, until, upload

pytestmark = pytest.mark.faults

LINE = b"2026-11-23 12:00:00 HTTPServer ERROR connection from 192.0.2.1 was reset by the peer\n"
LARGE = LINE * 80_000
LONG_STEP = "personal_data"  # some seconds of work over such a file


def is_gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def steps_of(client: httpx2.Client, run_id: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.get(f"/api/v1/runs/{run_id}/trace/").json()
    return found


def in_the_middle(client: httpx2.Client, run_id: str) -> bool:
    """Tell whether the run is at its long step."""
    return any(
        record["step"] == LONG_STEP and record["state"] == "running"
        for record in steps_of(client, run_id)
    )


@pytest.fixture
def large_run(demo: httpx2.Client) -> Iterator[str]:
    body = upload(demo, "large.log", LARGE)
    until(lambda: in_the_middle(demo, body["run"]), within_s=30)
    yield body["run"]
    demo.delete(f"/api/v1/uploads/{body['id']}/")


def test_a_worker_that_is_killed_in_the_middle_costs_time_only(
    stack: Stack, demo: httpx2.Client, large_run: str
) -> None:
    killed = stack.kill("worker")
    run = ended(demo, large_run, within_s=60)
    assert run["state"] == "succeeded"
    trace = steps_of(demo, large_run)
    effects = Counter(r["step"] for r in trace if r["state"] == "succeeded")
    assert set(effects.values()) == {1}, "one effective result a step"
    assert set(effects) == {record["step"] for record in trace}, "of every step"
    assert [r["state"] for r in trace if r["state"] != "succeeded"] == ["abandoned"]
    assert all(is_gone(process) for process in killed)


def test_one_killed_process_of_the_worker_costs_time_only(
    stack: Stack, demo: httpx2.Client, large_run: str
) -> None:
    """Kill the process that holds the claim, and leave the others of its part alone."""
    everybody = stack.part("worker").children(recursive=True)
    workers = [process for process in everybody if process.name() == "queue-worker"]
    assert len(workers) > 1
    max(workers, key=spent_in_a_step_s).kill()
    assert ended(demo, large_run, within_s=60)["state"] == "succeeded"
    states = [record["state"] for record in steps_of(demo, large_run)]
    assert Counter(states)["abandoned"] == 1


def spent_in_a_step_s(worker: psutil.Process) -> float:
    """Return the CPU time of a worker's busiest sandboxed child; those of ended runs are gone."""
    children = [child for zygote in worker.children() for child in zygote.children()]
    return max((sum(child.cpu_times()[:2]) for child in children), default=0.0)


def test_the_web_part_comes_back_and_what_it_accepted_is_there(
    stack: Stack, demo: httpx2.Client
) -> None:
    accepted: dict[str, str] = {}
    enough = threading.Event()

    def hand_in() -> None:
        number = 0
        with stack.client() as client:
            while not enough.is_set():
                number += 1
                content = f"line {number}\n".encode() * 1000
                try:
                    body = upload(client, f"{number}.txt", content)
                except httpx2.TransportError:
                    time.sleep(0.05)
                else:
                    accepted[body["id"]] = hashlib.sha256(content).hexdigest()

    client = threading.Thread(target=hand_in)
    client.start()
    for _ in range(3):
        count = len(accepted)
        until(lambda count=count: len(accepted) > count + 3, within_s=60)  # type: ignore[misc]
        killed = stack.kill("web")
        assert all(is_gone(process) for process in psutil.wait_procs(killed, timeout=2)[1])
    count = len(accepted)
    until(lambda: len(accepted) > count + 3, within_s=60)
    enough.set()
    client.join()
    for upload_id, digest in accepted.items():
        content = demo.get(f"/api/v1/uploads/{upload_id}/content/").content
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_watcher_comes_back_and_takes_each_file_once(stack: Stack, demo: httpx2.Client) -> None:
    folder = stack.drop_folder()
    names = [f"watched-{number}.txt" for number in range(60)]
    for number, name in enumerate(names):
        (folder / "unprocessed" / name).write_bytes(f"{name}\n".encode() * 50)
        if number % 20 == 10:
            until(lambda: not is_away(stack, "watcher"), within_s=35)
            time.sleep(number / 100)  # each time a little further into its work
            until(lambda: was_killed(stack, "watcher"), within_s=35)
    until(
        lambda: all((folder / "processed" / f"{name}.json").exists() for name in names),
        within_s=90,
        what="receipts",
    )
    counts: Counter[str] = Counter()
    url = "/api/v1/uploads/"
    while url:
        page = demo.get(url).json()
        counts.update(row["name"] for row in page["results"])
        url = page["next"]
    assert {name: counts[name] for name in names} == dict.fromkeys(names, 1)


def was_killed(stack: Stack, name: str) -> bool:
    """Kill a part; tell whether it was there to be killed."""
    try:
        return bool(stack.kill(name))
    except (LookupError, psutil.NoSuchProcess):
        return False


def is_away(stack: Stack, name: str, before: int = 0) -> bool:
    """Tell whether a part does not run, or is still the process `before`."""
    try:
        return stack.part(name).pid == before
    except (LookupError, psutil.NoSuchProcess):
        return True


def is_ready(stack: Stack) -> bool:
    try:
        return bool(httpx2.get(f"{stack.url}/readyz").status_code == 200)
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("name", ["web", "worker", "watcher"])
def test_a_part_that_was_killed_is_started_again(stack: Stack, name: str) -> None:
    before = stack.part(name).pid
    stack.kill(name)
    until(lambda: not is_away(stack, name, before), within_s=35)
    until(lambda: is_ready(stack), within_s=60)
