"""The worker's hold on one child process: its channel, its limits, its end."""

import contextlib
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from processing.sandbox import protocol
from processing.steps.contract import Limits

START_S = 20.0  # for a fork on a machine that is very busy
DYING_S = 1.0  # between the end of the channel and that of the process
REAPING_S = 5.0  # for the zygote to say how a child ended
PULSE_S = 0.05  # between two calls of `pulse` while nothing arrives
SEND_BUFFER = 1024 * 1024  # bytes in flight to a child; the system may grant fewer

_PEAK = b"\nVmHWM:"  # in /proc/PID/status, of which it is never the first line


def idle() -> None:
    """Do nothing."""


class Gone(Exception):
    """The child closed its channel, most likely because it ended."""


class Late(Exception):
    """The wall clock ran out."""


class Malformed(Exception):
    """The child said what no child of ours says."""


class NotStarted(Exception):
    """There is no locked-in child: the zygote is gone, or could not make one."""


@dataclass(frozen=True)
class Ending:
    """How a child ended: `status` is a wait status."""

    status: int
    cpu_s: float
    max_rss_bytes: int


class ChildProcess:
    """A locked-in child that has been asked of the zygote over `control`.

    `pulse` is called with each packet that arrives, and every PULSE_S seconds while none does.

    Raises:
        NotStarted: when it is made.
    """

    def __init__(self, control: socket.socket) -> None:
        self._report, its_report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = self._report  # until its own arrives
        self._handle = self._status = -1
        self.pulse: Callable[[], None] = idle
        try:
            with its_report:
                socket.send_fds(control, [protocol.FORK], [its_report.fileno()])
            self._await_start()
        except OSError as error:
            self.close()
            raise NotStarted from error
        self._channel.setblocking(False)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._readable, self._writable, self._ended = (select.poll() for _ in range(3))
        self._readable.register(self._channel, select.POLLIN)
        self._writable.register(self._channel, select.POLLOUT)
        self._ended.register(self._handle, select.POLLIN)
        self._limits: dict[int, int] = {}
        self._first_rss_bytes = self.max_rss_bytes()

    def _await_start(self) -> None:
        self._report.settimeout(START_S)
        message, handles, _, _ = socket.recv_fds(self._report, protocol.STARTED.size, 2)
        if not message:
            raise ConnectionResetError("The zygote is gone.")
        self.pid, self._mapped_bytes = protocol.STARTED.unpack(message)
        if self.pid < 0:
            raise OSError(-self.pid, os.strerror(-self.pid))
        self._handle, self._channel = handles[0], socket.socket(fileno=handles[1])
        # An open file cannot come to mean another process, as the pid in its name can.
        self._status = os.open(f"/proc/{self.pid}/status", os.O_RDONLY)
        self._channel.settimeout(START_S)
        if self._channel.recv(protocol.PACKET) != protocol.READY:
            raise ConnectionResetError("The child could not be locked in.")

    def limit(self, limits: Limits, *, cpu_s: float) -> None:
        """Set the memory and CPU time of the next step, which the child cannot raise itself.

        `cpu_s` is what it has used so far. The kernel counts whole seconds of CPU time: a step
        gets up to half a second more or less.

        Raises:
            Gone: it has ended.
        """
        self._limit(resource.RLIMIT_AS, self._mapped_bytes + limits.memory_bytes)
        self._limit(resource.RLIMIT_CPU, round(cpu_s) + limits.cpu_s)

    def _limit(self, kind: int, value: int) -> None:
        if self._limits.get(kind) == value:
            return
        hard = resource.getrlimit(kind)[1]  # which the child has inherited
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.prlimit(self.pid, kind, (soft, hard))
        except OSError as error:
            raise Gone from error
        self._limits[kind] = value

    def cpu_s(self) -> float:
        """Return the CPU time that it has used, by the kernel's clock of another process.

        Raises:
            Gone: it has ended.
        """
        # Source: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) in linux/posix-timers.h.
        try:
            return time.clock_gettime(~self.pid << 3 | 2)
        except OSError as error:
            raise Gone from error

    def max_rss_bytes(self) -> int:
        """Return its largest resident memory so far, 0 if it has just ended."""
        try:
            status = os.pread(self._status, 4096, 0)
        except ProcessLookupError:
            return 0
        _, found, rest = status.partition(_PEAK)
        size, unit, _ = rest.partition(b" kB\n")
        return int(size) * 1024 if found and unit else 0

    def growth_bytes(self) -> int:
        """Return by how much its largest resident memory exceeds that at its start."""
        return self.max_rss_bytes() - self._first_rss_bytes

    def is_silent(self) -> bool:
        """Tell whether it lives and has said nothing that nobody asked for."""
        return not self._readable.poll(0)

    def receive(self, deadline: float) -> bytes:
        """Return the next packet, or raise `Gone`, `Malformed` or, past `deadline`, `Late`."""
        self.pulse()
        self._wait(self._readable, deadline)
        try:
            packet, _, flags, _ = self._channel.recvmsg(protocol.PACKET)
        except ConnectionResetError as error:
            raise Gone from error
        if not packet:
            raise Gone
        # Too long a packet, or descriptors, which the kernel has closed already.
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise Malformed
        return packet

    def send(self, packet: bytes | memoryview, deadline: float) -> None:
        """Send one packet, or raise `Gone` or, past `deadline`, `Late`."""
        while True:
            try:
                self._channel.send(packet)
            except BlockingIOError:
                self._wait(self._writable, deadline)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise Gone from error
            else:
                return

    def _wait(self, poll: select.poll, deadline: float) -> None:
        while (left_s := deadline - time.monotonic()) > 0:
            if poll.poll(min(left_s, PULSE_S) * 1000):
                return
            self.pulse()
        raise Late

    def has_ended(self, *, wait_s: float = 0.0) -> bool:
        """Return whether it has ended by itself, after waiting for that at the most `wait_s`."""
        return bool(self._ended.poll(wait_s * 1000))

    def end(self) -> Ending | None:
        """Kill it, let go, and return how it ended: None if the zygote is gone as well."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self._report.settimeout(REAPING_S)
        try:
            self._report.shutdown(socket.SHUT_WR)
            message = self._report.recv(protocol.ENDED.size)
        except OSError:
            message = b""
        self.close()
        return Ending(*protocol.ENDED.unpack(message)) if message else None

    def close(self) -> None:
        """Let go of it: the zygote kills what is left of it and reaps it."""
        with contextlib.suppress(OSError):  # a fork of the worker may hold a copy open
            self._report.shutdown(socket.SHUT_WR)
        self._channel.close()
        self._report.close()
        for descriptor in (self._handle, self._status):
            if descriptor >= 0:
                os.close(descriptor)
        self._handle = self._status = -1
