"""A warm process without secrets, which forks one locked-in child for each file.

It has one thread, never sees content, and ends with the worker that started it. One child is
always ready: it waits, locked in and without content, for the next file.
"""

import contextlib
import gc
import importlib
import io
import os
import selectors
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from processing.sandbox import child, kernel, landlock, lockdown, protocol, seccomp
from processing.steps.contract import Step, StepContext

# What steps import late; paid for once here instead of once a file.
WARM_MODULES = ("csv", "json", "PIL.Image", "pypdfium2", "xml.parsers.expat", "zipfile")
# Steps that are run once here, over a harmless file: what they load, compile and remember is then
# there in every child. None of them starts a thread.
REHEARSED = ("checksum", "media_type", "lines")
SAMPLE = b"a line\nand another\n"


def main(control: int, worker: int, registry: str, *, confined: bool) -> NoReturn:
    """Serve the process `worker` through the socket `control` until either ends."""
    connection = socket.socket(fileno=control)
    try:
        zygote = Zygote(connection, worker, registry, confined=confined)
    except BaseException:  # noqa: BLE001 - whatever a step's module raises, the worker is told
        connection.send(traceback.format_exc()[-protocol.PIECE // 4 :].encode())
        os._exit(1)
    connection.send(protocol.READY)
    zygote.serve()
    os._exit(0)


class Zygote:
    """Forks on demand, and reaps a child when its worker lets go of it.

    Until then a dead child stays a zombie, so that its pid cannot become another process's
    while the worker uses it.
    """

    def __init__(
        self, control: socket.socket, worker: int, registry: str, *, confined: bool
    ) -> None:
        self._control = control
        self._worker = os.pidfd_open(worker)
        # Where memory runs out, the system should end a parser and not the database.
        Path("/proc/self/oom_score_adj").write_text("1000")
        self._find = _load(registry)
        self._ruleset = _prepare_confinement() if confined else None
        self._children: dict[socket.socket, int] = {}
        self._selector = selectors.PollSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._worker, selectors.EVENT_READ)
        if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 - only their number counts
            raise RuntimeError("A step's module starts a thread when it is imported.")
        gc.collect()
        gc.freeze()  # or the first collection in each child copies every page
        pages = Path("/proc/self/statm").read_text().split()[0]
        self._mapped = int(pages) * os.sysconf("SC_PAGESIZE")
        self._spare: Spare | None = None

    def serve(self) -> None:
        """Fork and reap until the worker ends or closes the control socket."""
        while True:
            with contextlib.suppress(OSError):  # then the next file's worker is told
                self._spare = self._spare or self._fork()
            for key, _ in self._selector.select():
                if key.fileobj == self._worker:
                    return
                if key.fileobj in self._children:
                    self._reap(key.fileobj)
                elif not self._hand_out():
                    return

    def _hand_out(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not message:
            return False
        report = socket.socket(fileno=descriptors[0])
        try:
            if self._spare is None or self._spare.has_ended():
                self._spare = self._fork()
        except OSError as error:
            report.send(protocol.STARTED.pack(-(error.errno or 1), 0))
            report.close()
        else:
            self._introduce(self._spare, report)
            self._spare = None
        return True

    def _fork(self) -> "Spare":
        ours, its_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        zygote = os.getpid()
        with its_channel:
            pid = os.fork()
            if pid == 0:
                self._become_child(its_channel.fileno(), zygote)
        return Spare(pid, ours)

    def _become_child(self, channel: int, zygote: int) -> NoReturn:
        try:
            lockdown.die_with(zygote)
            os.setsid()
            lockdown.close_all_but(channel, self._ruleset)
            lockdown.limit_resources()
            if self._ruleset is not None:
                lockdown.confine(self._ruleset)
        except BaseException:  # noqa: BLE001 - a child that is not locked in must not say READY
            os._exit(1)
        child.serve(channel, self._find)

    def _introduce(self, child: "Spare", report: socket.socket) -> None:
        handle = os.pidfd_open(child.pid)
        started = protocol.STARTED.pack(child.pid, self._mapped)
        with child.channel, contextlib.suppress(OSError):  # the worker may have let go already
            socket.send_fds(report, [started], [handle, child.channel.fileno()])
        os.close(handle)
        self._children[report] = child.pid
        self._selector.register(report, selectors.EVENT_READ)

    def _reap(self, report: socket.socket) -> None:
        self._selector.unregister(report)
        pid = self._children.pop(report)
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it ended before it had its group
            os.killpg(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        cpu_s = usage.ru_utime + usage.ru_stime
        with contextlib.suppress(OSError):  # the worker may not care any more
            report.send(protocol.ENDED.pack(status, cpu_s, usage.ru_maxrss * 1024))
        report.close()


@dataclass(frozen=True)
class Spare:
    """A child that waits, with the worker's end of its channel."""

    pid: int
    channel: socket.socket

    def has_ended(self) -> bool:
        """Bury it if it has ended, as where the system's memory ran out."""
        if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.channel.close()
        return True


def _load(registry: str) -> Callable[[str], Step]:
    for name in WARM_MODULES:
        importlib.import_module(name)
    importlib.import_module("PIL.Image").init()
    find: Callable[[str], Step] = importlib.import_module(registry).get
    for name in REHEARSED:
        with contextlib.suppress(Exception):  # another registry; or the step will say so itself
            find(name).run(_rehearsal())
    return find


def _rehearsal() -> StepContext:
    return StepContext(
        content=io.BytesIO(SAMPLE),
        size=len(SAMPLE),
        media_type="text/plain",
        open_artifact=lambda *_: io.BytesIO(),
    )


def _prepare_confinement() -> int:
    seccomp.compile_filter(pid=os.getpid())  # which keeps what is the same for every child
    folders = lockdown.readable_folders([Path(__file__).parents[1]])
    return landlock.create_ruleset(folders, version=kernel.support().landlock)
