"""Throughput of blobs against OpenSSL alone: `python -m tests.benchmarks.encryption`.

Writes and reads one blob in memory, single thread, in turn with `openssl speed` at the same
block size, so that both meet the same machine. Prints medians and the spread over the rounds.
"""

import argparse
import subprocess
import time
from collections.abc import Callable
from statistics import median
from uuid import uuid4

from tests.source import BytesSource
from uploads.encryption import SEGMENT_BYTES, BlobReader, BlobWriter, new_key

MIB = 1024 * 1024
PIECE = b"\x5a" * MIB
TARGET = 0.6


def openssl_mb_s(segment_bytes: int, *, decrypt: bool) -> float:
    """Return what `openssl speed` says of AES-256-GCM at this block size, over a second."""
    command = ["openssl", "speed", "-evp", "aes-256-gcm", "-bytes", str(segment_bytes)]
    command += ["-seconds", "1", "-mr", *(["-decrypt"] if decrypt else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("+F:"))
    return float(line.rsplit(":", 1)[1]) / 1e6


def mb_s(work: Callable[[], None], size: int) -> float:
    """Return the throughput of `work` over `size` bytes, by the processor's time."""
    start = time.process_time()
    work()
    return size / (time.process_time() - start) / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=512, help="size of the blob")
    parser.add_argument("--segment-bytes", type=int, default=SEGMENT_BYTES)
    asked = parser.parse_args()
    upload_key = new_key()
    ids = {name: uuid4() for name in ("upload_id", "owner_id", "blob_id")}

    def writer() -> BlobWriter:
        return BlobWriter(upload_key=upload_key, segment_bytes=asked.segment_bytes, **ids)

    def encrypt() -> None:
        blob = writer()
        for _ in range(asked.mib):
            blob.update(PIECE)
        blob.finish()

    def decrypt() -> None:
        for _ in BlobReader(source, upload_key=upload_key, **ids).chunks():
            pass

    kept = writer()
    source = BytesSource(b"".join([*(kept.update(PIECE) for _ in range(asked.mib)), kept.finish()]))
    figures: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        for name, work in (("encrypt", encrypt), ("decrypt", decrypt)):
            alone = openssl_mb_s(asked.segment_bytes, decrypt=name == "decrypt")
            ours = mb_s(work, asked.mib * MIB)
            figures.setdefault(f"openssl {name}", []).append(alone)
            figures.setdefault(f"blob {name}", []).append(ours)
            figures.setdefault(f"ratio {name}", []).append(ours / alone)
    print(f"{asked.mib} MiB, segments of {asked.segment_bytes} bytes, {asked.rounds} rounds")
    print(f"{'':16}{'median':>10}{'lowest':>10}{'highest':>10}")
    for name, values in figures.items():
        digits = 2 if name.startswith("ratio") else 0
        shown = (f"{value:10.{digits}f}" for value in (median(values), min(values), max(values)))
        target = f"   (target {TARGET})" if digits else "   MB/s"
        print(f"{name:16}{''.join(shown)}{target}")


if __name__ == "__main__":
    main()
