"""The supervisor, with small programs as its parts."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from config.supervisor import answers
from tests.stack import free_port

FOREVER = "import time\nprint('here', flush=True)\nwhile True: time.sleep(1)"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
WITH_CHILD = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
POLITE = (
    "import signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye', flush=True), sys.exit(0)))\n"
) + FOREVER

DRIVER = """
import asyncio, os, sys
from config import supervisor
supervisor.FIRST_PAUSE_S = 0.1
supervisor.STOP_GRACE_S = float(os.environ.get("STOP_GRACE_S", "1"))
supervisor.STABLE_S = float(os.environ.get("STABLE_S", "60"))
parts = [supervisor.Part(*argument.split("=", 1)) for argument in sys.argv[1:]]
parts = [supervisor.Part(p.name, [sys.executable, "-u", "-c", p.command]) for p in parts]
async def probe():
    return True
asyncio.run(supervisor.Supervisor(
    parts, env=os.environ, probe=probe, on_ready=lambda: print("READY", flush=True)).run())
print("ALL STOPPED", flush=True)
"""


class Running:
    """A supervisor in a process of its own, in a process group of its own."""

    def __init__(self, parts: dict[str, str], out: Path, **env: str) -> None:
        self._out = out
        with out.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, *(f"{k}={v}" for k, v in parts.items())],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._out.read_text()

    def until(self, condition: Callable[[], object], timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(parts: dict[str, str], **env: str) -> Running:
        running = Running(parts, tmp_path / f"{len(started)}.txt", **env)
        started.append(running)
        running.until(lambda: "READY" in running.output)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            for child in running.children():
                child.kill()
            running.process.kill()
            running.process.wait()


def gone(processes: list[psutil.Process]) -> bool:
    """Tell whether none of them runs; who is to bury an orphan is not ours to say."""
    for process in psutil.wait_procs(processes, timeout=0.1)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def test_each_line_says_which_part_printed_it(run: Callable[..., Running]) -> None:
    running = run({"web": FOREVER, "worker": "print('one\\ntwo')\n" + FOREVER})
    running.until(lambda: running.output.count("here") == 2)
    assert "web    | here" in running.output
    of_worker = [line for line in running.output.splitlines() if line.startswith("worker")]
    assert of_worker == ["worker | one", "worker | two", "worker | here"]


def test_a_line_without_an_end_is_printed_too(run: Callable[..., Running]) -> None:
    endless = "import sys\nsys.stdout.write('x' * 200_000)\nsys.stdout.flush()\n"
    running = run({"web": endless + FOREVER.replace("print('here', flush=True)", "")})
    running.until(lambda: running.output.count("x") > 100_000)
    running.process.terminate()
    running.process.wait(timeout=30)
    assert running.output.count("x") == 200_000


def test_last_words_without_an_end_are_printed(run: Callable[..., Running]) -> None:
    running = run({"web": "import sys\nsys.stdout.write('last words')"})
    running.until(lambda: "web | last words\n" in running.output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_part_and_leaves_no_process(
    run: Callable[..., Running], number: signal.Signals
) -> None:
    running = run({"web": POLITE, "worker": POLITE})
    running.until(lambda: running.output.count("here") == 2)
    children = running.children()
    assert len(children) == 2
    os.killpg(running.process.pid, number)  # as a terminal does
    assert running.process.wait(timeout=30) == 0
    assert running.output.count("goodbye") == 2, "asked more than once, or not at all"
    assert "ALL STOPPED" in running.output
    assert gone(children)


def test_a_part_that_does_not_listen_is_killed_with_its_children(
    run: Callable[..., Running],
) -> None:
    running = run({"web": WITH_CHILD + DEAF})
    running.until(lambda: running.output.count("here") == 2)
    children = running.children()
    assert len(children) == 2
    running.process.terminate()
    assert running.process.wait(timeout=30) == 0
    assert gone(children)


def test_the_second_signal_does_not_wait(run: Callable[..., Running]) -> None:
    running = run({"web": DEAF}, STOP_GRACE_S="60")
    running.until(lambda: "here" in running.output)
    running.process.terminate()
    time.sleep(0.1)
    running.process.terminate()
    running.process.wait(timeout=30)


def test_a_killed_part_is_started_again_and_its_children_are_not_left(
    run: Callable[..., Running],
) -> None:
    running = run({"web": WITH_CHILD + FOREVER})
    running.until(lambda: running.output.count("here") == 2)
    children = running.children()
    psutil.Process(running.process.pid).children()[0].kill()
    running.until(lambda: running.output.count("here") == 4)
    assert "web | was killed by SIGKILL; starting it again in 0.1 s" in running.output
    assert gone(children)


def test_the_pauses_between_starts_grow(run: Callable[..., Running]) -> None:
    running = run({"web": "raise SystemExit(3)"})
    running.until(lambda: running.output.count("exit code 3") == 4)
    pauses = re.findall(r"ended with exit code 3; starting it again in (\S+) s", running.output)
    assert pauses == ["0.1", "0.2", "0.4", "0.8"]


def test_a_part_that_ran_long_enough_starts_again_from_the_shortest_pause(
    run: Callable[..., Running],
) -> None:
    running = run({"web": "raise SystemExit(3)"}, STABLE_S="0")
    running.until(lambda: running.output.count("exit code 3") == 3)
    assert set(re.findall(r"again in (\S+) s", running.output)) == {"0.1"}


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    code = DRIVER.replace("sys.executable, ", "'/nowhere/python', ", 1)
    process = subprocess.Popen(
        [sys.executable, "-c", code, "web=x"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    process.communicate(timeout=30)
    assert any("could not be started (No such file or directory)" in line for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_the_parts_end_when_the_supervisor_is_killed(run: Callable[..., Running]) -> None:
    running = run({"web": POLITE, "worker": FOREVER})
    running.until(lambda: running.output.count("here") == 2)
    children = running.children()
    running.process.kill()
    running.process.wait()
    running.until(lambda: gone(children), timeout_s=5)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_success_or_a_redirection_counts_as_an_answer(answer: bytes, expected: bool) -> None:
    async def ask() -> bool:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"\r\nHost: example.org\r\n" in await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await answers("127.0.0.1", port, "/readyz", host_header="example.org")

    assert asyncio.run(ask()) is expected


def test_nobody_there_is_no_answer() -> None:
    assert not asyncio.run(answers("127.0.0.1", free_port(), "/", host_header="localhost"))
