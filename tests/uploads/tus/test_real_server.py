"""Uploads over real connections that are cut, to a real server that is killed."""

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.uploads.tus.installation import Installation

pytestmark = pytest.mark.faults

MIB = 1024 * 1024
MARKER = b"a marker that nobody else writes "
CONTENT = MARKER * 50_000 + random.Random(5).randbytes(40 * MIB)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("tus") / "data", like=prepared)
    try:
        yield installation
    finally:
        installation.end()


def fetch(installation: Installation, location: str) -> tuple[str, bytes]:
    signed = {"Authorization": f"Bearer {installation.token}"}
    status, headers, body = installation.request("GET", location + "content/", headers=signed)
    assert status == 200
    return headers["etag"].strip('"'), body


def settled(installation: Installation, path: str, least: int) -> int:
    """Return the offset once a cut connection's bytes have been kept."""
    for _ in range(100):
        if (offset := installation.offset(path)) >= least:
            break
        time.sleep(0.05)
    return offset


def test_a_cut_connection_keeps_what_arrived(installation):
    path = installation.create(len(CONTENT))
    offset = 0
    for cut in (1, 100_000, 3 * MIB + 7, 20 * MIB):
        with installation.begin_patch(path, offset, len(CONTENT) - offset) as client:
            client.sendall(CONTENT[offset : offset + cut])
            time.sleep(0.3)
        offset += cut
        assert settled(installation, path, offset) == offset
    status, headers, _ = installation.patch(path, offset, CONTENT[offset:])
    assert status == 204
    assert fetch(installation, headers["upload-location"]) == (SHA256, CONTENT)


def test_a_server_killed_at_any_moment_loses_nothing_it_acknowledged(installation):
    moments = random.Random(11)
    path = installation.create(len(CONTENT))
    offset = 0
    for _ in range(5):
        piece = moments.randrange(1, 4 * MIB)
        status, headers, _ = installation.patch(path, offset, CONTENT[offset : offset + piece])
        assert status == 204
        offset = int(headers["upload-offset"])
        rest = CONTENT[offset:]

        def send(offset: int = offset, rest: bytes = rest) -> None:
            client = installation.begin_patch(path, offset, len(rest))
            with client, contextlib.suppress(OSError):
                for start in range(0, len(rest), 64 * 1024):
                    client.sendall(rest[start : start + 64 * 1024])
                    time.sleep(0.001)

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(moments.uniform(0.0, 0.5))
        installation.kill()
        sender.join()
        installation.start()
        assert installation.offset(path) >= offset
        offset = installation.offset(path)
    began = time.monotonic()
    status, headers, body = installation.patch(path, offset, CONTENT[offset:])
    assert status == 204, body
    assert time.monotonic() - began < 15
    assert fetch(installation, headers["upload-location"]) == (SHA256, CONTENT)
    assert installation.offset(path) == len(CONTENT)


def test_no_plaintext_of_an_interrupted_upload_lies_on_the_disk(installation):
    path = installation.create(len(CONTENT), name="salaries-marker.xlsx")
    client = installation.begin_patch(path, 0, len(CONTENT))
    client.sendall(CONTENT[: MIB + 12_345])
    time.sleep(0.5)
    client.close()
    settled(installation, path, MIB)
    installation.kill()
    control = installation.data / "control"
    control.write_bytes(MARKER)
    try:
        found = holding(installation.data.parent, MARKER, b"salaries-marker")
    finally:
        control.unlink()
        installation.start()
    assert found == [control]


def holding(folder: Path, *needles: bytes) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_a_half_open_writer_is_taken_over_within_five_seconds(installation):
    path = installation.create(len(CONTENT))
    with installation.begin_patch(path, 0, len(CONTENT)) as client:
        client.sendall(CONTENT[:1000])
        time.sleep(0.3)
        began = time.monotonic()
        status, headers, _ = installation.patch(path, 0, CONTENT[:1000])
        assert status == 204
        assert time.monotonic() - began < 8
    offset = int(headers["upload-offset"])
    status, headers, _ = installation.patch(path, offset, CONTENT[offset:])
    assert status == 204
    assert fetch(installation, headers["upload-location"])[0] == SHA256


def test_a_forbidden_file_is_refused_after_its_first_segment(installation):
    path = installation.create(5 * 1024**3)
    client = installation.begin_patch(path, 0, 5 * 1024**3)
    executable = b"MZ\x90\x00" + b"\0" * 60 + b"PE\0\0" + bytes(4 * MIB)
    sent = 0
    with contextlib.suppress(OSError):
        for _ in range(50):
            client.sendall(executable if sent == 0 else bytes(4 * MIB))
            sent += 4 * MIB
    with client:
        answer = client.recv(65536)
    assert b" 415 " in answer.splitlines()[0]
    assert sent < 64 * MIB
    assert installation.tus("HEAD", path)[0] == 404


def test_sixteen_sessions_at_once_stay_within_bounded_memory(installation):
    worker = installation.worker()
    size = 24 * MIB
    content = random.Random(7).randbytes(size)
    warm = installation.create(size)
    assert installation.patch(warm, 0, content)[0] == 204
    Path(f"/proc/{worker.pid}/clear_refs").write_text("5")
    before = worker.memory_info().rss
    paths = [installation.create(size) for _ in range(16)]
    threads = [
        threading.Thread(target=installation.patch, args=(path, 0, content)) for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    grown = int(line.split()[1]) * 1024 - before
    assert all(installation.offset(path) == size for path in paths)
    print(f"16 sessions: +{grown / MIB:.1f} MiB")
    assert grown < 64 * MIB
