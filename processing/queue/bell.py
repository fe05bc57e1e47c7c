"""The doorbell: who submits a run rings, the pushers of all clusters wake up at once.

On SQLite everybody is on one machine: each pusher binds a Unix datagram socket of its own in the
bell's folder, and a ring is a datagram to each of them. On PostgreSQL a ring is a NOTIFY, which
reaches other machines too. A ring that is lost costs the time until the next poll.
"""

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import connection, transaction

CHANNEL = "strongroom_bell"


class Bell(Protocol):
    """One listener."""

    def wait(self, timeout_s: float, *, unless: int) -> bool:
        """Return True as soon as it rings, False after the time, or when the descriptor
        `unless` becomes readable."""

    def close(self) -> None: ...


def listen() -> Bell:
    """Return a bell that keeps every ring from now on. Listen first, then look."""
    return DatabaseBell() if connection.vendor == "postgresql" else SocketBell()


def ring_on_commit() -> None:
    """Ring when the current transaction is committed; never if it is not."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    else:
        transaction.on_commit(ring, robust=True)  # what is committed is not undone by a bell


class SocketBell:
    """Datagrams to a socket in the bell's folder."""

    def __init__(self) -> None:
        bell: Path = settings.PROCESSING["BELL"]
        bell.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = bell.with_name(f"{bell.name}.{secrets.token_hex(8)}")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with _folder() as folder:
            self._socket.bind(_address(folder, self._path.name))

    def wait(self, timeout_s: float, *, unless: int) -> bool:
        rung = self._socket in wait([self._socket, unless], timeout_s)
        with suppress(BlockingIOError):
            while rung:
                self._socket.recv(1)
        return rung

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ring() -> None:
    """Wake every listener on this machine, and clear away those that died."""
    with suppress(FileNotFoundError), _folder() as folder, _caller() as caller:
        for name in _listeners(folder):
            try:
                caller.sendto(b"\0", _address(folder, name))
            except ConnectionRefusedError:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            except OSError:
                continue  # enough rings wait there already; or it has just gone


class DatabaseBell:
    """LISTEN on a connection of its own: the other one is busy with transactions."""

    def __init__(self) -> None:
        self._connection = connection.copy()
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout_s: float, *, unless: int) -> bool:
        listening: Any = self._connection.connection
        rung = listening in wait([listening, unless], timeout_s)
        with self._connection.wrap_database_errors:
            return rung and len(list(listening.notifies(timeout=0))) > 0

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _folder() -> Iterator[int]:
    descriptor = os.open(settings.PROCESSING["BELL"].parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _caller() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        caller.setblocking(False)
        yield caller


def _listeners(folder: int) -> Sequence[str]:
    prefix = settings.PROCESSING["BELL"].name + "."
    return [name for name in os.listdir(folder) if name.startswith(prefix)]


def _address(folder: int, name: str) -> str:
    """Return a short way to a socket: the kernel takes no path longer than 107 bytes.

    Source: Linux, unix(7).
    """
    return f"/proc/self/fd/{folder}/{name}"
