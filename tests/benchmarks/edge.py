"""The edge against a bare ASGI application on the same server: `python -m tests.benchmarks.edge`.

Both get the same bytes over loopback in the same run, in turn, and the medians are compared: a
page, an upload that is only counted, one that is hashed, and a download. CPU seconds are the
server's.

    python -m tests.benchmarks.edge --mib 512 --rounds 5
    python -m tests.benchmarks.edge --streams 16 --mib 128 --rounds 1
"""

import argparse
import http.client
import os
import socket
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import BinaryIO

from tests.config.edge.server import MIB, Server, running

GIB = 1024 * MIB
BARE = "tests.benchmarks.edge_sites:bare"
EDGE = "tests.benchmarks.edge_sites:edge"
SECONDS_OF_PAGES = 3


def answer_of(client: socket.socket) -> bytes:
    """Return the body of the answer."""
    response = http.client.HTTPResponse(client)
    response.begin()
    if response.status >= 300:
        raise RuntimeError(f"the server answered {response.status}")
    return response.read()


def upload(server: Server, target: str, content: BinaryIO, size: int) -> None:
    """Send `content` with as little work in the client as the kernel allows."""
    client = server.open("PUT", target, f"Content-Length: {size}")
    client.settimeout(None)  # sendfile knows no timeout
    sent = 0
    while sent < size:
        sent += os.sendfile(client.fileno(), content.fileno(), sent, size - sent)
    answer_of(client)
    client.close()


def download(server: Server, target: str, size: int) -> None:
    """Read all of the answer into one buffer."""
    client = server.open("GET", target)
    response = http.client.HTTPResponse(client)
    response.begin()
    buffer, total = bytearray(MIB), 0
    while received := response.readinto(buffer):
        total += received
    client.close()
    if total != size:
        raise RuntimeError("the answer is short")


def pages_per_s(server: Server, clients: int = 4) -> float:
    """Return how many small pages come in a second over kept connections."""
    until = time.monotonic() + SECONDS_OF_PAGES
    counts = [0] * clients
    request = b"GET /hello HTTP/1.1\r\nHost: testserver\r\n\r\n"

    def ask(number: int) -> None:
        client = server.connect()
        while time.monotonic() < until:
            client.sendall(request)
            client.recv(4096)
            counts[number] += 1
        client.close()

    _in_parallel([partial(ask, number) for number in range(clients)])
    return sum(counts) / SECONDS_OF_PAGES


def _in_parallel(jobs: list[Callable[[], None]]) -> None:
    """Run `jobs`; what one raises ends the benchmark."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


class Series:
    """The rounds of one measurement."""

    def __init__(self, name: str, server: Server, work: Callable[[], None]) -> None:
        self.name = name
        self._server = server
        self._work = work
        self._mb_s: list[float] = []
        self._cpu_s: list[float] = []

    def round(self, size: int, streams: int) -> None:
        cpu_s, began = self._server.cpu_s(), time.monotonic()
        _in_parallel([self._work] * streams)
        total = size * streams
        self._mb_s.append(total / 1e6 / (time.monotonic() - began))
        self._cpu_s.append((self._server.cpu_s() - cpu_s) * GIB / total)

    def line(self, reference: "Series") -> str:
        speed = median(self._mb_s)
        ratio = speed / median(reference._mb_s)
        spread = f"{min(self._mb_s):.0f} to {max(self._mb_s):.0f}"
        cpu = f"{median(self._cpu_s):.2f} CPU s/GiB"
        return f"{self.name:<28} {speed:6.0f} MB/s  ({spread})  {cpu}  {ratio:.2f} of bare"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=1)
    wanted = parser.parse_args()
    size = wanted.mib * MIB
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryFile(dir=folder) as content,
        running(BARE) as bare,
        running(EDGE) as edge,
    ):
        for _ in range(wanted.mib):
            content.write(os.urandom(MIB))
        content.flush()
        print(f"pages: bare {pages_per_s(bare):.0f}/s, edge and Django {pages_per_s(edge):.0f}/s")
        sent = Series("upload, bare", bare, lambda: upload(bare, "/", content, size))
        got = Series("download, bare", bare, lambda: download(bare, f"/{size}", size))
        table = [
            (sent, sent),
            (Series("upload, counted", edge, lambda: upload(edge, "/count", content, size)), sent),
            (Series("upload, SHA-256", edge, lambda: upload(edge, "/sha256", content, size)), sent),
            (got, got),
            (Series("download", edge, lambda: download(edge, f"/content/{size}", size)), got),
        ]
        before = edge.reset_peak()
        for _ in range(wanted.rounds):
            for series, _reference in table:
                series.round(size, wanted.streams)
        for series, reference in table:
            print(series.line(reference))
        print(f"memory of the edge: {before / MIB:.0f} MiB, at most {edge.peak() / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
