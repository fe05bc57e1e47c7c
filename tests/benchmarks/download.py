"""Downloads against nginx serving the plain file: `python -m tests.benchmarks.download`.

A whole installation (`manage.py up`) holds the file encrypted, nginx the same bytes in the clear.
Both send it over loopback, in turn, to the same client. Then small ranges at random places of a
large file: time to the last byte, and how much memory the server takes for it. Prints medians with
their spread; CPU seconds are those of the serving processes. Skips, saying so, without nginx.
"""

import argparse
import http.client
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import psutil

from tests.stack import Stack, free_port, until

MIB = 1024 * 1024
GIB = 1024 * MIB
RANGE_BYTES = 64 * 1024
Headers = dict[str, str]

NGINX = """
daemon off; master_process on; worker_processes 2; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; root {folder}/plain; }}
}}
"""


class Source:
    """One of the two servers: where the file is, and who serves it."""

    def __init__(self, port: int, path: str, headers: Headers, pid: int) -> None:
        self.port, self.path, self.headers = port, path, headers
        self._main = psutil.Process(pid)

    def family(self) -> list[psutil.Process]:
        return [self._main, *self._main.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the CPU seconds that the server has used so far."""
        times = [process.cpu_times() for process in self.family()]
        return sum(each.user + each.system for each in times)

    def rss_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self.family())

    def get(self, **headers: str) -> tuple[float, float, int]:
        """Return seconds to the first and to the last byte, and how many bytes came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        began = time.perf_counter()
        connection.request("GET", self.path, headers={**self.headers, **headers})
        answer = connection.getresponse()
        if answer.status not in (200, 206):
            raise SystemExit(f"The server answered {answer.status}.")
        buffer, total, first_s = bytearray(MIB), 0, 0.0
        while received := answer.readinto(buffer):
            first_s = first_s or time.perf_counter() - began
            total += received
        last_s = time.perf_counter() - began
        connection.close()
        return first_s, last_s, total


def pieces(size: int) -> Iterator[bytes]:
    """Yield so many bytes that do not repeat within a segment."""
    rng = random.Random(size)
    block = rng.randbytes(MIB)
    for start in range(0, size, MIB):
        yield block[: size - start]


def hand_in(stack: Stack, name: str, size: int) -> Source:
    """Upload so many bytes; return where they can be fetched."""
    with stack.client() as client:
        client.timeout = 3600
        answer = client.put(
            f"/api/v1/uploads/{name}",
            content=pieces(size),
            headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
        )
        if answer.status_code != 201:
            raise SystemExit(f"The upload was answered {answer.status_code}: {answer.text}")
        token = client.headers["Authorization"]
    path = f"/api/v1/uploads/{answer.json()['id']}/content/"
    headers = {"Authorization": token, "Host": f"localhost:{stack.port}"}
    return Source(stack.port, path, headers, stack.part("web").pid)


@contextmanager
def nginx(folder: Path, size: int) -> Iterator[Source]:
    """Serve a plain file of so many bytes."""
    (folder / "plain").mkdir()
    with (folder / "plain" / "file").open("wb") as file:
        file.writelines(pieces(size))
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)  # its workers are somebody else
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    if os.geteuid() == 0:
        command += ["-g", "user root;"]
    server = subprocess.Popen(command)
    try:
        source = Source(port, "/file", {}, server.pid)
        until(lambda: _listens(port), within_s=10, what="nginx")
        yield source
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
    except OSError:
        return False
    return True


def streaming(sources: dict[str, Source], size: int, rounds: int) -> None:
    """Print the table of whole downloads."""
    speeds: dict[str, list[float]] = {name: [] for name in sources}
    firsts: dict[str, list[float]] = {name: [] for name in sources}
    cpus: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(rounds):
        for name, source in sources.items():
            before = source.cpu_s()
            first_s, last_s, total = source.get()
            if total != size:
                raise SystemExit(f"{name} sent {total} bytes of {size}.")
            speeds[name].append(size / last_s / 1e6)
            firsts[name].append(first_s * 1e3)
            cpus[name].append((source.cpu_s() - before) / (size / GIB))
    print(f"{size / MIB:,.0f} MiB, {rounds} rounds in turn")
    print(f"{'':12}{'MB/s':>8}{'lowest':>8}{'highest':>8}{'first ms':>10}{'CPU s/GiB':>11}")
    for name in sources:
        values = speeds[name]
        print(
            f"{name:12}{median(values):8.0f}{min(values):8.0f}{max(values):8.0f}"
            f"{median(firsts[name]):10.1f}{median(cpus[name]):11.2f}"
        )
    ratios = [ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)]
    print(f"strongroom/nginx {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def ranges(source: Source, size: int, count: int) -> None:
    """Print what a small range costs, anywhere in a large file."""
    rng, before = random.Random(1), source.rss_bytes()
    offsets = [rng.randrange(size - RANGE_BYTES) for _ in range(count)]
    for name, places in (("anywhere", offsets), ("at the end", [size - RANGE_BYTES] * count)):
        took = sorted(_range_ms(source, places))
        high = quantiles(took, n=100)[98]
        print(
            f"64 KiB {name} of {size / GIB:.2f} GiB, {count} times: last byte after "
            f"{median(took):.1f} ms (lowest {took[0]:.1f}, p99 {high:.1f})"
        )
    grown = (source.rss_bytes() - before) / MIB
    print(f"memory of the web part: {before / MIB:.0f} MiB before, {grown:+.1f} MiB after")


def _range_ms(source: Source, offsets: Iterable[int]) -> Iterator[float]:
    for offset in offsets:
        _, last_s, total = source.get(Range=f"bytes={offset}-{offset + RANGE_BYTES - 1}")
        if total != RANGE_BYTES:
            raise SystemExit(f"A range had {total} bytes.")
        yield last_s * 1e3


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the streamed file")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--range-mib", type=int, default=10 * 1024, help="size of the large file")
    parser.add_argument("--ranges", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="where the files lie (default: TMPDIR)")
    asked = parser.parse_args()
    if shutil.which("nginx") is None:
        raise SystemExit(
            "SKIPPED: nginx is not installed (on Debian: apt-get install nginx-light)."
        )
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=asked.folder) as name:
        folder = Path(name)
        needed = 2 * asked.mib * MIB + asked.range_mib * MIB
        if shutil.disk_usage(folder).free < needed * 1.1:
            raise SystemExit(f"SKIPPED: {needed / GIB:.0f} GiB are needed below {folder.parent}.")
        # Steps would read the files at the same time.
        stack = Stack(folder / "data", STRONGROOM_WORKERS="1")
        try:
            stack.start()
            with nginx(folder, asked.mib * MIB) as plain:
                ours = hand_in(stack, "streamed.bin", asked.mib * MIB)
                large = hand_in(stack, "large.bin", asked.range_mib * MIB)
                await_runs(stack)
                streaming({"strongroom": ours, "nginx": plain}, asked.mib * MIB, asked.rounds)
                ranges(large, asked.range_mib * MIB, asked.ranges)
        finally:
            stack.end()


def await_runs(stack: Stack) -> None:
    """Return when no run is left. Who signs in at each look is throttled; a token is good for ten
    minutes.
    """
    while True:
        with stack.client() as client:
            end = time.monotonic() + 300
            while time.monotonic() < end:
                states = ("queued", "running")
                pages = [client.get("/api/v1/runs/", params={"state": each}) for each in states]
                if not any(page.json()["results"] for page in pages):
                    return
                time.sleep(1)


if __name__ == "__main__":
    main()
