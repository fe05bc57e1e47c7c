"""What the processes of a cluster share, without a lock that a killed process could keep.

django-q2 builds its clusters from a queue, events and timers of `multiprocessing`. Each of them
has a lock in shared memory, and a process that is killed while it holds one stops all others for
ever. These stand-ins have the same methods, as far as django-q2 calls them, and leave the order
to the kernel, which lets go of whatever dies.
"""

import os
import pickle
import select
import socket
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import RawValue
from typing import Any

LARGEST_PACKET = 256 * 1024  # bytes; more than the kernel sends in one by default
PACKET_BYTES = 2 * 1024  # what the kernel charges for a small packet, and then some


class PacketQueue:
    """A queue of pickled packets through a pair of sockets.

    One packet reaches one reader. `maxsize` bounds the memory that waits in the kernel, and so
    only roughly the number of packets: from then on `put` blocks.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if maxsize:
            self._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, maxsize * PACKET_BYTES)

    def put(self, item: object) -> None:
        self._writer.send(pickle.dumps(item))

    def get(self) -> Any:
        return pickle.loads(self._reader.recv(LARGEST_PACKET))  # noqa: S301 - from our own family

    def empty(self) -> bool:
        return not wait([self._reader], 0)

    def close(self) -> None:
        """Let go in this process; what was put stays for the others."""
        self._reader.close()
        self._writer.close()

    def join_thread(self) -> None:
        """Return at once: `put` hands over to the kernel itself, not to a thread."""


class Flag:
    """An event: a pipe that becomes readable once, and stays so."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        """Return what becomes readable, to wait for it together with others."""
        return self._read_end

    def set(self) -> None:
        with suppress(BlockingIOError):  # set more than often enough
            os.write(self._write_end, b"\0")

    def is_set(self) -> bool:
        # `wait` costs twenty times as much, and each step asks. It is one of the first descriptors.
        return bool(select.select([self._read_end], [], [], 0)[0])

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether the flag was set within `timeout` seconds."""
        return bool(wait([self._read_end], timeout))


class Timer:
    """A number that a worker and its sentinel share.

    Both write it. What the lock would prevent is a count-down that wipes out "idle" now and
    then: the next task writes it anew, long before a day has been counted down.
    """

    def __init__(self, typecode: str, value: float) -> None:
        self._raw = RawValue(typecode, value)

    @property
    def value(self) -> float:
        return float(self._raw.value)

    @value.setter
    def value(self, value: float) -> None:
        self._raw.value = value

    def get_lock(self) -> AbstractContextManager[None]:
        return nullcontext()
