"""How long a first and a later start take, on a machine with empty caches.

    python -m tests.benchmarks.start [ROUNDS]

Each round clones the project into an empty folder, with an empty home and so empty caches of the
package installers, and runs `make up` until it is ready; then stops it and starts it again.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.stack import ROOT, free_port, until

LIMIT_S = 300
CACHES = ("UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME", "VIRTUAL_ENV")


def one_round(folder: Path) -> tuple[float, float, float]:
    """Return the seconds of a first start, of a second one, and of the stop between them."""
    clone = folder / "strongroom"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    env = {name: value for name, value in os.environ.items() if name not in CACHES}
    env |= {"HOME": str(folder / "home"), "STRONGROOM_PORT": str(free_port())}
    first, process = _start(clone, env, folder / "first.log")
    stopped = _stop(process)
    second, process = _start(clone, env, folder / "second.log")
    _stop(process)
    return first, second, stopped


def _start(clone: Path, env: dict[str, str], log: Path) -> tuple[float, subprocess.Popen[bytes]]:
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until(
        lambda: "READY " in log.read_text() or process.poll() is not None,
        within_s=LIMIT_S,
        what="READY",
    )
    if process.poll() is not None:
        raise SystemExit(log.read_text())
    return time.monotonic() - began, process


def _stop(process: subprocess.Popen[bytes]) -> float:
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    process.wait(30)
    return time.monotonic() - began


def measure(rounds: int) -> None:
    """Print medians with their spread, in seconds."""
    results = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder:
            (Path(folder) / "home").mkdir()
            results.append(one_round(Path(folder)))
    names = ("first start, empty caches", "second start", "stop by Ctrl-C")
    for name, values in zip(names, zip(*results, strict=True), strict=True):
        low, high = min(values), max(values)
        print(f"{name}: {statistics.median(values):.1f} s ({low:.1f} to {high:.1f}, n={rounds})")


if __name__ == "__main__":
    measure(int(sys.argv[1]) if sys.argv[1:] else 3)
