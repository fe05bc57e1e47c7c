"""How fast files come in, beside servers that store them as they are.

    python -m tests.benchmarks.receiving                      # everything, for a quiet machine
    python -m tests.benchmarks.receiving --mib 256 --rounds 3 --large-mib 512
    python -m tests.benchmarks.receiving --small --mib 1      # only the small files

All servers get the same bytes over loopback, in turn, in the same run, and store them in folders of
the same file system. Ours encrypts, hashes and syncs; the others do neither. Printed are medians
with the lowest and the highest, CPU seconds of the server, and ratios of medians; then what the
hash, the disk and the bare server do alone, which no receiver that needs them can surpass. The file
that is sent lies in memory (/dev/shm), so that its disk is not measured.

Peers: `@tus/server` of npm with its file store, nginx with `dav_methods PUT`, and a Django project
with a FileField on each of three servers. One that cannot be started here is left out, and said so.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from tests.benchmarks.peers.servers import DJANGO_SERVERS, Peer, filefield, nginx, tus_node
from tests.benchmarks.sending import FORM_TYPE, File, by_tus, exchange, form
from tests.config.edge.server import running
from tests.uploads.tus.installation import Installation
from uploads.storage.writing import BlockWriter

MIB = 1024 * 1024
SMALL_BYTES = 10_000
SMALL_S = 5.0
SMALL_CLIENTS = 8
STREAMS = 16
FILEFIELDS = {f"FileField, {server}": server for server in DJANGO_SERVERS}
GOALS = {
    ("one stream by raw PUT", "@tus/server"): 1.5,
    ("one stream by tus", "@tus/server"): 1.5,
    ("one stream by raw PUT", "nginx"): 0.5,
    **{("one form", name): 1.2 for name in FILEFIELDS},
}


@dataclass(frozen=True)
class Sample:
    """One upload: how long it took, and what it cost the server. In seconds."""

    seconds: float
    cpu_s: float


# --- Ours --------------------------------------------------------------------------------------


class Strongroom:
    """One web process of ours, without workers, and what a client does with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.installation = Installation(folder / "data", log=folder / "web.log")
        self.port = self.installation.port
        self.made: list[str] = []
        self._account = json.loads((folder / "data" / "first-login.json").read_text())["demo"]

    def sign_in(self) -> None:
        """Get a fresh token: they are good for ten minutes."""
        kind = {"Content-Type": "application/json"}
        body = json.dumps(self._account).encode()
        _, answer = exchange(self.port, "POST /api/v1/token/", kind, around=(body, b""))
        self.signed = {"Authorization": f"Bearer {json.loads(answer)['access']}"}

    def put(self, file: File) -> None:
        kind = {"Content-Type": "application/octet-stream"}
        said, _ = exchange(self.port, "PUT /api/v1/uploads/big.bin", {**self.signed, **kind}, file)
        self.made.append(said["location"])

    def tus(self, file: File) -> None:
        self.made.append(by_tus(self.port, "/api/v1/tus/", self.signed, file)["upload-location"])

    def form(self, file: File) -> None:
        said, _ = exchange(
            self.port,
            "POST /api/v1/uploads/",
            {**self.signed, **FORM_TYPE},
            file,
            around=form("big.bin"),
        )
        self.made.append(said["location"])

    def forget(self) -> None:
        """Delete what was stored."""
        for location in self.made:
            exchange(self.port, f"DELETE {location}", self.signed)
        self.made.clear()

    def family(self) -> list[psutil.Process]:
        assert self.installation.web is not None
        main = psutil.Process(self.installation.web.pid)
        return [main, *main.children(recursive=True)]


# --- Measuring ---------------------------------------------------------------------------------


def cpu_of(family: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in family)


def sample(family: Sequence[psutil.Process], act: Callable[[], None]) -> Sample:
    os.sync()  # what an earlier one left to be written is not this one's
    cpu, began = cpu_of(family), time.perf_counter()
    act()
    return Sample(time.perf_counter() - began, cpu_of(family) - cpu)


def peak_of(process: psutil.Process, act: Callable[[], None]) -> float:
    """Return the most memory, in MiB, that a process had while `act` ran."""
    status = Path(f"/proc/{process.pid}/status")
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
    act()
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def spread(values: Sequence[float], digits: int = 0) -> str:
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def compare(title: str, sides: dict[str, Callable[[], Sample]], size: int, rounds: int) -> None:
    """Measure all sides in turn, and print each beside our own, which comes first."""
    found: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, measure in sides.items():
            one = measure()
            if number:  # the first one warms up
                found[name].append(one)
    print(f"\n{title}\n\n| server | MB/s | CPU s/GiB | ours to this |\n|---|---|---|---|")
    ours = median(s.seconds for s in next(iter(found.values())))
    for name, samples in found.items():
        rates = [size / 1e6 / s.seconds for s in samples]
        cpu = [s.cpu_s * 1024 * MIB / size for s in samples]
        ratio = median(s.seconds for s in samples) / ours
        goal = GOALS.get((title.partition(",")[0], name))
        said = "" if goal is None else f" (goal {goal:g}: {'met' if ratio >= goal else 'MISSED'})"
        print(f"| {name} | {spread(rates)} | {spread(cpu, 2)} | {ratio:.2f}{said} |")


def together(count: int, act: Callable[[File], None], file: File) -> None:
    with ThreadPoolExecutor(count) as pool:
        for job in [pool.submit(act, file) for _ in range(count)]:
            job.result()


def small_per_s(act: Callable[[File], None], file: File) -> float:
    """Return how many small files come in a second from a few clients."""
    end, counts = time.monotonic() + SMALL_S, [0] * SMALL_CLIENTS

    def client(number: int) -> None:
        while time.monotonic() < end:
            act(file)
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(SMALL_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SMALL_S


# --- Scenes ------------------------------------------------------------------------------------


class Scene:
    """All servers that could be started, over folders of one file system."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.ours = Strongroom(folder / "ours")
        stack.callback(self.ours.installation.end)
        self.peers: dict[str, Peer] = {}
        starts: dict[str, Callable[[Path], AbstractContextManager[Peer]]] = {
            "@tus/server": tus_node,
            "nginx": nginx,
            **{name: partial(filefield, server=server) for name, server in FILEFIELDS.items()},
        }
        for number, (name, start) in enumerate(starts.items()):
            place = folder / f"peer-{number}"
            place.mkdir()
            try:
                self.peers[name] = stack.enter_context(start(place))
            except (OSError, RuntimeError) as error:
                print(f"Left out: {name} could not be started ({error}).")

    def mine(self, act: Callable[[], None]) -> Sample:
        found = sample(self.ours.family(), act)
        self.ours.forget()
        return found

    def theirs(self, name: str, act: Callable[[], None]) -> Sample:
        peer = self.peers[name]
        found = sample(peer.family(), act)
        peer.forget()
        return found

    def send_to(self, name: str) -> Callable[[File], None]:
        """Return what hands a file in at a peer, in its own way."""
        port = self.peers[name].port
        if name == "nginx":
            return lambda file: _ignore(
                exchange(port, f"PUT /{threading.get_ident()}-{time.time_ns()}.bin", {}, file)
            )
        if name == "@tus/server":
            return lambda file: _ignore(by_tus(port, "/files", {}, file))
        return lambda file: _ignore(
            exchange(port, "POST /upload/", FORM_TYPE, file, around=form("big.bin"))
        )

    def sides(
        self, ours: Callable[[File], None], names: Sequence[str], file: File, streams: int = 1
    ) -> dict[str, Callable[[], Sample]]:
        def run(act: Callable[[File], None]) -> Callable[[], None]:
            return partial(act, file) if streams == 1 else partial(together, streams, act, file)

        sides: dict[str, Callable[[], Sample]] = {"Strongroom": partial(self.mine, run(ours))}
        for name in names:
            if name in self.peers:
                sides[name] = partial(self.theirs, name, run(self.send_to(name)))
        return sides


def _ignore(_: object) -> None:
    """Nothing more is asked of an answer than that it came."""


def measure(scene: Scene, content: Path, options: argparse.Namespace) -> None:
    ours, rounds = scene.ours, options.rounds
    ours.sign_in()
    big = File(content, options.mib * MIB)
    what = f"{options.mib} MiB"
    streams = ["@tus/server", "nginx"]
    compare(f"one stream by raw PUT, {what}", scene.sides(ours.put, streams, big), big.size, rounds)
    ours.sign_in()
    compare(f"one stream by tus, {what}", scene.sides(ours.tus, streams, big), big.size, rounds)
    ours.sign_in()
    sides = scene.sides(ours.form, list(FILEFIELDS), big)
    compare(f"one form, {what}", sides, big.size, rounds)
    ours.sign_in()
    part = File(content, options.stream_mib * MIB)
    compare(
        f"{STREAMS} streams by raw PUT, {options.stream_mib} MiB each",
        scene.sides(ours.put, [*streams, *FILEFIELDS], part, streams=STREAMS),
        STREAMS * part.size,
        max(1, rounds // 2),
    )
    measure_limits(scene, big, rounds)
    measure_small(scene, content, rounds)


def measure_limits(scene: Scene, file: File, rounds: int) -> None:
    """Measure, in the same run, what no receiver on this machine can be faster than."""
    found: dict[str, list[float]] = {}

    def took(name: str, act: Callable[[], None]) -> None:
        os.sync()
        began = time.perf_counter()
        act()
        found.setdefault(name, []).append(file.size / 1e6 / (time.perf_counter() - began))

    with running("tests.benchmarks.edge_sites:bare") as bare:
        for _ in range(rounds):
            took("SHA-256, one core", partial(hash_all, file))
            took("write and fsync, through the page cache", partial(write_all, file, scene, False))
            took("write and fsync, past it", partial(write_all, file, scene, True))
            took(
                "the bare server, which throws away what it gets",
                lambda: _ignore(exchange(bare.port, "PUT /", {}, file)),
            )
    print("\nlimits of this machine, in the same run\n\n| alone | MB/s |\n|---|---|")
    for name, rates in found.items():
        print(f"| {name} | {spread(rates)} |")


def hash_all(file: File) -> None:
    with file.path.open("rb") as content:
        hashlib.file_digest(content, "sha256")


def write_all(file: File, scene: Scene, direct: bool) -> None:
    """Write a copy of `file` beside the blobs, make it durable, and remove it."""
    path = scene.folder / "copy"
    with file.path.open("rb") as content, path.open("wb", buffering=0) as copy:
        blocks = BlockWriter(copy.fileno())
        for _ in range(file.size // MIB):
            data = content.read(MIB)
            blocks.write(data) if direct else copy.write(data)
        blocks.flush()
        os.fsync(copy.fileno())
        blocks.close()
    path.unlink()


def measure_small(scene: Scene, content: Path, rounds: int) -> None:
    ours, file = scene.ours, File(content, SMALL_BYTES)
    ours.sign_in()
    sides: dict[str, Callable[[File], None]] = {
        "Strongroom, raw PUT": ours.put,
        "Strongroom, form": ours.form,
        **{name: scene.send_to(name) for name in scene.peers},
    }
    families = {name: peer.family() for name, peer in scene.peers.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    cost_ms: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, act in sides.items():
            family = families.get(name) or ours.family()
            before_s = cpu_of(family)
            found[name].append(small_per_s(act, file))
            cpu_s = cpu_of(family) - before_s
            cost_ms[name].append(cpu_s * 1000 / (found[name][-1] * SMALL_S))
        for peer in scene.peers.values():
            peer.forget()
    print(f"\nfiles of {SMALL_BYTES:,} bytes, {SMALL_CLIENTS} clients, a connection each\n")
    print("| server | files/s | CPU ms a file |\n|---|---|---|")
    for name, rates in found.items():
        print(f"| {name} | {spread(rates)} | {spread(cost_ms[name], 1)} |")
    ours.made.clear()  # as many deletions would take longer than all the rest


def measure_memory(folder: Path, content: Path, options: argparse.Namespace) -> None:
    """Measure a web process that has done nothing yet but take in a few small files."""
    ours = Strongroom(folder)
    try:
        ours.sign_in()
        together(STREAMS, ours.put, File(content, SMALL_BYTES))
        ours.forget()
        worker = ours.installation.worker()
        idle = worker.memory_info().rss / MIB
        with content.open("r+b") as file:
            file.truncate(max(options.large_mib, options.mib) * MIB)  # zeros, which take no memory
        large, part = (
            File(content, options.large_mib * MIB),
            File(content, options.stream_mib * MIB),
        )
        print(
            "\nmemory of the web process above idle\n\n| load | MiB (goal: at most 64) |\n|---|---|"
        )
        for title, act in (
            (f"one stream of {options.large_mib} MiB by raw PUT", partial(ours.put, large)),
            (f"one stream of {options.large_mib} MiB by tus", partial(ours.tus, large)),
            (
                f"{STREAMS} streams of {options.stream_mib} MiB",
                partial(together, STREAMS, ours.put, part),
            ),
        ):
            ours.sign_in()
            peak = peak_of(worker, act)
            ours.forget()
            print(f"| {title} | {peak - idle:.1f} |")
    finally:
        ours.installation.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024, help="of one stream")
    parser.add_argument("--stream-mib", type=int, default=128, help="of each of 16 streams")
    parser.add_argument("--large-mib", type=int, default=4096, help="for the memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="only the small files")
    parser.add_argument("--folder", type=Path, help="on the file system to measure")
    options = parser.parse_args()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="receiving-", dir=options.folder) as folder,
        tempfile.NamedTemporaryFile(prefix="receiving-", dir=memory) as content,
        ExitStack() as stack,
    ):
        block = os.urandom(MIB)
        for _ in range(options.mib):
            content.write(block)
        content.flush()
        print(f"{shutil.disk_usage(folder).free / 1e9:,.0f} GB are free in {folder}.")
        scene = Scene(Path(folder), stack)
        if options.small:
            measure_small(scene, Path(content.name), options.rounds)
        else:
            measure(scene, Path(content.name), options)
            measure_memory(Path(folder) / "fresh", Path(content.name), options)


if __name__ == "__main__":
    main()
