"""Keeps the parts of a running system alive: starts, restarts, and stops them together.

Every part runs in a session of its own, so that Ctrl-C in a terminal reaches only the
supervisor, and is asked to stop by a signal to its main process alone. What a part leaves behind
in its process group is killed before the part is started again, and at the end. Where the kernel
can (Linux), a part is also told to stop when the supervisor itself is killed.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

STOP_GRACE_S = 4.0  # the whole stop is promised within 5 s
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LAST_WORDS_S = 0.5  # what left the group of a dead part may hold its output open longer
STABLE_S = 60.0  # a part that ran so long starts again from the shortest pause
LONGEST_LINE = 64 * 1024  # bytes
PROBE_PAUSE_S = 0.1  # at first; a start that takes longer is asked less often
LONGEST_PROBE_PAUSE_S = 1.0
PROBE_TIMEOUT_S = 5.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_PR_SET_PDEATHSIG = 1  # Linux, include/uapi/linux/prctl.h

Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Part:
    """One program of the system."""

    name: str
    command: Sequence[str]


class Supervisor:
    """Runs `parts` until it is told to stop."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        env: Mapping[str, str],
        probe: Probe,
        on_ready: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._env = env
        self._probe = probe
        self._on_ready = on_ready
        self._width = max(len(part.name) for part in parts)
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()

    async def run(self) -> None:
        """Return once every part has stopped after SIGINT, SIGTERM or SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_stop_signal)
        announcing = asyncio.create_task(self._announce())
        await asyncio.gather(*(self._keep(part) for part in self._parts))
        announcing.cancel()

    def _on_stop_signal(self) -> None:
        """Stop; the second time, kill."""
        if self._stop.is_set():
            self._kill.set()
        self._stop.set()

    async def _announce(self) -> None:
        pause = PROBE_PAUSE_S
        while not await self._probe():
            await asyncio.sleep(pause)
            pause = min(pause * 1.1, LONGEST_PROBE_PAUSE_S)
        self._on_ready()

    async def _keep(self, part: Part) -> None:
        pause = FIRST_PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            ending = await self._run_once(part)
            if self._stop.is_set():
                return
            if time.monotonic() - began >= STABLE_S:
                pause = FIRST_PAUSE_S
            self._say(part.name, f"{ending}; starting it again in {pause:g} s")
            await _either(self._stop, asyncio.sleep(pause))
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self, part: Part) -> str:
        """Run `part` until it ends or has to; return how it ended."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *part.command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=_end_with_parent(os.getpid()),
            )
        except OSError as error:
            os.close(reading)
            return f"could not be started ({error.strerror})"
        finally:
            os.close(writing)
        forwarding = asyncio.create_task(self._forward(part.name, reading))
        await _either(self._stop, process.wait())
        if process.returncode is None:
            await self._end(process)
        _kill_group(process.pid)
        await asyncio.wait({forwarding}, timeout=LAST_WORDS_S)
        forwarding.cancel()
        return _ending(process.returncode)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        deadline = asyncio.wait_for(process.wait(), STOP_GRACE_S)
        with suppress(TimeoutError):
            await _either(self._kill, deadline)
        _kill_group(process.pid)
        await process.wait()

    async def _forward(self, name: str, descriptor: int) -> None:
        """Print what comes out of `descriptor`, line by line, until every writer is gone."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        rest = b""
        try:
            while chunk := await reader.read(LONGEST_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._say(name, line.decode(errors="replace"))
            if rest:
                self._say(name, rest.decode(errors="replace"))
        finally:
            transport.close()

    def _say(self, name: str, line: str) -> None:
        try:
            print(f"{name:<{self._width}} | {line}", flush=True)  # noqa: T201 - its very purpose
        except BrokenPipeError:  # nobody reads any more
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
            self._stop.set()


async def answers(host: str, port: int, path: str, *, host_header: str) -> bool:
    """Tell whether a GET of `path` is answered with success or a redirection."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {host_header}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status = (await reader.readline()).split(b" ")[1:2]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status != [] and status[0].startswith((b"2", b"3"))


async def _either(event: asyncio.Event, awaitable: Awaitable[object]) -> None:
    """Wait until `event` is set or `awaitable` is done, and cancel the other."""
    tasks = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(awaitable)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _end_with_parent(parent: int) -> Callable[[], None] | None:
    """Return what a new process calls to be sent SIGTERM when `parent` dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_the_kernel


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ending(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
