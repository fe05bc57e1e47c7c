"""What slow and hostile clients cost the others: `python -m tests.benchmarks.hostile_clients`.

One after the other, crowds of bad clients hold on to the web process while an ordinary user hands
in small files: clients that send their body at one byte a second, that stop in the middle of the
head, that declare more than they send or less, that send a form of 100,000 parts, or a million
headers. For each crowd the user's p50 and p95 are printed beside those without a crowd, before and
after it, and what memory the web process took, how the bad clients ended, and when.

    python -m tests.benchmarks.hostile_clients --clients 200 --seconds 40
"""

import argparse
import http.client
import json
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from tests.uploads.tus.installation import Installation

MIB = 1024 * 1024
SMALL = b"a line of an ordinary user\n" * 40
GOAL_RATIO = 2.0
PARTS = 100_000
HEADERS = 1_000_000


@dataclass
class Crowd:
    """How the bad clients of one kind fared."""

    ends: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0

    def note(self, end: str, began: float) -> None:
        self.ends[end] += 1
        self.longest_s = max(self.longest_s, time.monotonic() - began)


# --- Bad clients ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """Where they go, and with which token."""

    port: int
    token: str

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=90)

    def head(
        self, length: int | None, *more: str, line: str = "PUT /api/v1/uploads/x.txt"
    ) -> bytes:
        lines = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more]
        lines += [f"Authorization: Bearer {self.token}", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()


Bad = Callable[[Site, socket.socket, float], None]


def one_byte_a_second(site: Site, client: socket.socket, until: float) -> None:
    client.sendall(site.head(1000 * MIB, "Content-Type: text/plain"))
    _trickle(client, until)


def half_a_head(site: Site, client: socket.socket, until: float) -> None:
    client.sendall(site.head(10)[:-30])
    _trickle(client, until)


def more_declared_than_sent(site: Site, client: socket.socket, until: float) -> None:
    client.sendall(site.head(10 * MIB, "Content-Type: text/plain") + b"x" * 1000)
    _wait(client, until)


def less_declared_than_sent(site: Site, client: socket.socket, until: float) -> None:
    client.sendall(site.head(10, "Content-Type: text/plain"))
    block = b"x" * 65536
    while time.monotonic() < until:
        client.sendall(block)


def many_parts(site: Site, client: socket.socket, until: float) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nv\r\n'
    line = "POST /api/v1/uploads/"
    client.sendall(site.head(len(part) * PARTS, kind, line=line))
    for _ in range(PARTS // 100):
        client.sendall(part * 100)
    _wait(client, until)


def many_headers(site: Site, client: socket.socket, until: float) -> None:
    client.sendall(site.head(10)[:-2])
    for start in range(0, HEADERS, 1000):
        client.sendall(b"".join(b"X-%d: y\r\n" % n for n in range(start, start + 1000)))
    _wait(client, until)


KINDS: dict[str, tuple[Bad, int]] = {  # with the part of the crowd that there is of it
    "one byte a second": (one_byte_a_second, 1),
    "half a head": (half_a_head, 1),
    "more declared than sent": (more_declared_than_sent, 1),
    "less declared than sent": (less_declared_than_sent, 10),
    "100,000 parts": (many_parts, 10),
    "1,000,000 headers": (many_headers, 10),
}


def _trickle(client: socket.socket, until: float) -> None:
    client.settimeout(1.0)
    while time.monotonic() < until:
        client.sendall(b"x")
        with suppress(TimeoutError):
            if not client.recv(4096):
                raise ConnectionResetError
            raise Answered


def _wait(client: socket.socket, until: float) -> None:
    client.settimeout(max(0.1, until - time.monotonic()))
    with suppress(TimeoutError):
        if client.recv(4096):
            raise Answered
        raise ConnectionResetError


class Answered(Exception):
    """The server said something."""


def _attend(site: Site, bad: Bad, until: float, crowd: Crowd) -> None:
    began = time.monotonic()
    end = "still there"
    try:
        with site.connect() as client:
            bad(site, client, until)
    except Answered:
        end = "answered"
    except OSError:
        end = "cut"
    crowd.note(end, began)


@contextmanager
def crowded(site: Site, bad: Bad, count: int, seconds: float) -> Iterator[Crowd]:
    """Let `count` bad clients come; they are gone after the block."""
    crowd, until = Crowd(), time.monotonic() + seconds
    threads = [
        threading.Thread(target=_attend, args=(site, bad, until, crowd), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    yield crowd
    for thread in threads:
        thread.join(timeout=seconds + 100)


# --- The ordinary user ---------------------------------------------------------------------------


def ordinary(site: Site, seconds: float) -> list[float]:
    """Hand in small files for so long; return how many milliseconds each took."""
    times, end = [], time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "text/plain"}
    while time.monotonic() < end:
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        connection.request("PUT", "/api/v1/uploads/small.txt", SMALL, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 201:
            raise RuntimeError(f"an ordinary user was answered {response.status}")
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    return times


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return p50 and p95."""
    cuts = quantiles(times, n=20)
    return cuts[9], cuts[18]


def measure(installation: Installation, clients: int, seconds: float) -> None:
    account = json.loads((installation.data / "first-login.json").read_text())["demo"]
    kind = {"Content-Type": "application/json"}
    worker = installation.worker()

    def site() -> Site:
        body = json.dumps(account).encode()
        _, _, answer = installation.request("POST", "/api/v1/token/", body, kind)
        return Site(installation.port, json.loads(answer)["access"])

    ordinary(site(), 2)
    print("| crowd | p50 ms | p95 ms | p95 to idle | memory MiB | how they ended | longest s |")
    print("|---|---|---|---|---|---|---|")
    for name, (bad, share) in KINDS.items():
        alone = ordinary(site(), seconds / 4)
        before = worker.memory_info().rss
        peaks: list[int] = [before]
        now = site()
        with crowded(now, bad, max(1, clients // share), seconds) as crowd:
            time.sleep(1)
            times = ordinary(now, seconds / 2)
            peaks.append(worker.memory_info().rss)
        alone += ordinary(site(), seconds / 4)  # before and after: the machine has other work, too
        p50, p95 = percentiles(times)
        ratio = p95 / percentiles(alone)[1]
        met = "met" if ratio <= GOAL_RATIO else "MISSED"
        ends = ", ".join(f"{count} {end}" for end, count in crowd.ends.most_common())
        grown = (max(peaks) - before) / MIB
        count = max(1, clients // share)
        print(
            f"| {count} of: {name} | {p50:.1f} | {p95:.1f} | {ratio:.2f} ({met}) "
            f"| {grown:+.1f} | {ends} | {crowd.longest_s:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=40, help="how long each crowd stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        installation = Installation(Path(folder) / "data", log=Path(folder) / "web.log")
        try:
            measure(installation, options.clients, options.seconds)
        finally:
            installation.end()


if __name__ == "__main__":
    main()
