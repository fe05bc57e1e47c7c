"""A client of clamd: one command a connection, bounded in time and in what it reads.

Source: clamd(8), "COMMANDS". Answers end with a NUL, as commands do. An answer counts only if it
is one of those that are known: everything else means that nothing was scanned.
"""

import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_ANSWER = 4096
PIECE_BYTES = 256 * 1024

_FOUND = re.compile(r"stream: (?P<name>[\x21-\x7e]{1,200}) FOUND")
# Not a virus: the scanner gave up in the middle. Source: clamd.conf(5), AlertExceedsMax.
_GAVE_UP = re.compile(r"Heuristics\.Limits\.Exceeded")
_VERSION = re.compile(
    r"ClamAV (?P<version>[\w.+~-]{1,40})(?:/(?P<signatures>\d{1,9})/(?P<made>[\w: ]{1,40}))?"
)


class NotScanned(Exception):
    """There is no answer about the file. `code` says why: it is stable, and no verdict."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Version:
    """Which program scans, by which signatures, made when (None: it does not say)."""

    program: str
    signatures: int
    made_at: datetime | None


@dataclass(frozen=True)
class Clamd:
    """Where clamd listens: `unix:/path` or `tcp:host:port`. `timeout_s` is for a whole command."""

    address: str
    timeout_s: float

    def scan(self, chunks: Iterable[bytes]) -> str | None:
        """Return the name of what was found in the content; None: it is clean.

        Raises:
            NotScanned
        """
        with self._connected() as line:
            line.send(b"zINSTREAM\0")
            complete = _stream(line, chunks)
            answer = line.answer()
        if "size limit exceeded" in answer:
            raise NotScanned("scanner_limit")
        found = _FOUND.fullmatch(answer)
        if found and _GAVE_UP.match(found["name"]):
            raise NotScanned("scanner_limit")
        if found:
            return found["name"]
        if answer == "stream: OK" and complete:
            return None
        raise NotScanned("scanner_failed" if answer.endswith("ERROR") else "scanner_garbled")

    def version(self) -> Version:
        """Ask who scans.

        Raises:
            NotScanned
        """
        with self._connected() as line:
            line.send(b"zVERSION\0")
            answer = line.answer()
        said = _VERSION.fullmatch(answer)
        if said is None:
            raise NotScanned("scanner_garbled")
        made_at = None
        if said["made"]:
            with suppress(ValueError):
                made_at = datetime.strptime(said["made"], "%a %b %d %H:%M:%S %Y").replace(
                    tzinfo=UTC
                )
        return Version(said["version"], int(said["signatures"] or 0), made_at)

    @contextmanager
    def _connected(self) -> Iterator["_Line"]:
        try:
            line = _Line(self.address, self.timeout_s)
        except (OSError, ValueError):
            raise NotScanned("scanner_down") from None
        try:
            yield line
        except TimeoutError:
            raise NotScanned("scanner_timed_out") from None
        except OSError:
            raise NotScanned("scanner_lost") from None
        finally:
            line.close()


class _Line:
    """One connection, all of whose waiting together ends at a deadline."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._deadline = time.monotonic() + timeout_s
        kind, _, rest = address.partition(":")
        if kind == "unix":
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(timeout_s)
            try:
                self._socket.connect(rest)
            except BaseException:
                self._socket.close()
                raise
        elif kind == "tcp":
            host, _, port = rest.rpartition(":")
            self._socket = socket.create_connection((host, int(port)), timeout_s)
        else:
            raise ValueError(address)

    def send(self, data: bytes) -> None:
        self._wait_no_longer()
        self._socket.sendall(data)

    def answer(self) -> str:
        """Return what came until a NUL or the end, without them."""
        received = b""
        while b"\0" not in received:
            self._wait_no_longer()
            data = self._socket.recv(MAX_ANSWER)
            received += data
            if not data or len(received) > MAX_ANSWER:
                break
        text, end, _ = received.partition(b"\0")
        if not end:
            raise ConnectionError
        return text.decode("ascii", "replace").strip()

    def close(self) -> None:
        self._socket.close()

    def _wait_no_longer(self) -> None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)


def _stream(line: _Line, chunks: Iterable[bytes]) -> bool:
    """Send the content; False where clamd would not hear it all. Its answer says why."""
    for chunk in chunks:
        for at in range(0, len(chunk), PIECE_BYTES):
            piece = chunk[at : at + PIECE_BYTES]
            try:
                line.send(struct.pack(">I", len(piece)) + piece)
            except (BrokenPipeError, ConnectionResetError):
                return False
    try:
        line.send(struct.pack(">I", 0))
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
