"""Can the system run here? Each refusal is one sentence that says what to do. Pure."""

import errno
import fcntl
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
CONNECT_TIMEOUT_S = 1.0
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class CannotStart(Exception):
    """The message is for the person who started the system."""


@dataclass(frozen=True)
class Address:
    """Where the web part listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """`localhost`, since browsers allow passkeys there without a certificate."""
        return f"http://localhost:{self.port}"

    @property
    def reachable_host(self) -> str:
        """A host under which this machine reaches it."""
        return WILDCARDS.get(self.host, self.host)


def address_from(environ: Mapping[str, str]) -> Address:
    """Read STRONGROOM_HOST and STRONGROOM_PORT.

    Raises:
        CannotStart
    """
    text = environ.get("STRONGROOM_PORT", str(DEFAULT_PORT))
    port = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    if not 1 <= port <= 65535:
        raise CannotStart(
            f"STRONGROOM_PORT is {text!r}: set it to a number between 1 and 65535, for example "
            f"{DEFAULT_PORT}."
        )
    return Address(environ.get("STRONGROOM_HOST", DEFAULT_HOST), port)


def check_address(address: Address) -> None:
    """Refuse an address that somebody listens on, or that cannot be had.

    The web server shares a port silently with a stale copy of itself (SO_REUSEPORT), so both
    ways of finding one are tried: to reach it, and to take its place.

    Raises:
        CannotStart
    """
    remedy = "Stop the other program, or choose another port: STRONGROOM_PORT=8001 make up."
    for host in {address.reachable_host, "::1"}:
        if _somebody_listens(host, address.port):
            raise CannotStart(f"Port {address.port} is in use. {remedy}")
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past TIME_WAIT only
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise CannotStart(_why_not(address, error, remedy)) from None


def claim_data_dir(folder: Path) -> IO[str]:
    """Make `folder` if need be, prove that it can be written, and lock out a second start.

    The lock holds as long as the returned file is open.

    Raises:
        CannotStart
    """
    try:
        if not (folder / "run").exists():  # the first start: from now on the folder is ours
            (folder / "run").mkdir(mode=0o700, parents=True)
            folder.chmod(0o700)
        lock = (folder / "run" / "up.lock").open("a")
        os.fsync(lock.fileno())
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be written ({error.strerror}): make it writable, or "
            "set STRONGROOM_DATA_DIR to a folder that is."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise CannotStart(
            f"Strongroom is already running on the data folder {folder}: stop it first, or set "
            "STRONGROOM_DATA_DIR to another folder."
        ) from None
    return lock


def _somebody_listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def _why_not(address: Address, error: OSError, remedy: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {address.port} is in use. {remedy}"
    if error.errno == errno.EACCES:
        return (
            f"Port {address.port} is reserved for the administrator of this machine: choose one "
            "above 1023, for example STRONGROOM_PORT=8000 make up."
        )
    return (
        f"The address {address.host} cannot be listened on ({error.strerror}): set "
        "STRONGROOM_HOST to an address of this machine."
    )
