"""A large upload over a line that is cut and to a server that is killed arrives as it was sent.

With STRONGROOM_CAMPAIGN_MIB=4096 it takes minutes; 64 MiB show the same.
"""

import base64
import hashlib
import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.line import Line
from tests.stack import Stack, until

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
SIZE = int(os.environ.get("STRONGROOM_CAMPAIGN_MIB", "64")) * MIB
CUTS = 10
KILLS = 5
MARKER = b"the-marker-of-this-campaign-8c1f"
PIECE = 256 * 1024
PATIENCE_S = 120.0


def piece(number: int) -> bytes:
    """Return one piece of the file: the marker, and bytes that depend on the number."""
    return MARKER + random.Random(number).randbytes(PIECE - len(MARKER))


class Client:
    """Sends one file by tus, and goes on for as long as it takes."""

    def __init__(self, line: Line, token: str) -> None:
        self.offset = 0  # as the server last said
        self.sent_again = 0
        self._line = line
        self._signed = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}

    def begin(self) -> str:
        name = base64.b64encode(b"campaign.bin").decode()
        headers = {"Upload-Length": str(SIZE), "Upload-Metadata": f"filename {name}"}
        return self._ask("POST", "/api/v1/tus/", headers)["location"]

    def send(self, address: str) -> str:
        """Send all of it; return where the upload is."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError, http.client.HTTPException):
                said = self._ask("HEAD", address, {})
                before, self.offset = self.offset, int(said["upload-offset"])
                if self.offset > before:
                    deadline = time.monotonic() + PATIENCE_S
                if "upload-location" in said:
                    return said["upload-location"]
                self._patch(address)
            assert time.monotonic() < deadline, f"no progress beyond {self.offset}"
            time.sleep(0.1)

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._line.port, timeout=20)
        try:
            connection.request(method, path, headers={**self._signed, **headers})
            response = connection.getresponse()
            response.read()
            assert response.status < 300, response.status
            return {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()

    def _patch(self, address: str) -> None:
        headers = {
            **self._signed,
            "Host": f"127.0.0.1:{self._line.port}",
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(self.offset),
            "Content-Length": str(SIZE - self.offset),
        }
        lines = [f"PATCH {address} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
        with socket.create_connection(("127.0.0.1", self._line.port), timeout=20) as connection:
            connection.sendall("\r\n".join(lines).encode())
            at = self.offset
            while at < SIZE:
                number, within = divmod(at, PIECE)
                data = piece(number)[within:]
                connection.sendall(data)
                at += len(data)
            connection.recv(4096)
        self.sent_again += 1


@pytest.fixture
def line(stack: Stack) -> Iterator[Line]:
    # So slow that all cuts and kills fall into the upload; the rate that is asked for is tiny.
    line = Line(stack.port, bytes_per_s=max(4 * MIB, SIZE // 120))
    yield line
    line.close()


def harm(stack: Stack, line: Line, client: Client, over: threading.Event) -> dict[str, int]:
    """Cut and kill at places spread over the file; return how often."""
    done = {"cut": 0, "kill": 0}
    acts = ["cut", "cut", "kill"] * KILLS
    for number, act in enumerate(acts, 1):
        place = line.sent + SIZE // (len(acts) + 2)
        until(lambda place=place: line.sent >= place or over.is_set(), within_s=600)  # type: ignore[misc]
        if over.is_set():
            break
        if act == "cut":
            line.cut()
        else:
            until(lambda: _is_up(stack), within_s=60)
            stack.kill("web")
        done[act] += 1
        time.sleep(number / 50)
    return done


def _is_up(stack: Stack) -> bool:
    with suppress(LookupError, httpx2.TransportError):
        stack.part("web")
        return bool(httpx2.get(f"{stack.url}/healthz").status_code == 200)
    return False


def places(data: Path) -> list[Path]:
    """Return the files below `data` that hold the marker."""
    found = []
    for path in data.rglob("*"):
        if path.is_file() and not path.is_socket():
            with suppress(OSError):
                if MARKER in path.read_bytes():
                    found.append(path)
    return found


def test_a_file_over_a_cut_line_to_a_killed_server_arrives_as_it_was_sent(
    stack: Stack, demo: httpx2.Client, line: Line
) -> None:
    client = Client(line, demo.headers["Authorization"].removeprefix("Bearer "))
    address = client.begin()
    over = threading.Event()
    result: dict[str, int] = {}
    harming = threading.Thread(
        target=lambda: result.update(harm(stack, line, client, over)), daemon=True
    )
    harming.start()
    try:
        location = client.send(address)
    finally:
        over.set()
        harming.join()
    assert result == {"cut": CUTS, "kill": KILLS}

    expected = hashlib.sha256()
    for number in range(SIZE // PIECE):
        expected.update(piece(number))
    until(lambda: _is_up(stack), within_s=60)
    with stack.client() as fresh:
        assert fresh.get(location).json()["sha256"] == expected.hexdigest()
        actual = hashlib.sha256()
        with fresh.stream("GET", f"{location}content/") as response:
            for data in response.iter_bytes():
                actual.update(data)
        assert actual.digest() == expected.digest()
        same = [u for u in fresh.get("/api/v1/uploads/").json()["results"] if u["size"] == SIZE]
        assert len(same) == 1, "one upload, whatever was sent again"

    control = stack.data / "control"
    control.write_bytes(b"x" * 1000 + MARKER)
    assert places(stack.data) == [control], "the search finds what is planted, and nothing else"
    control.unlink()
