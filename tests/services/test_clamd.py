"""A real clamd with a signature of our own. The test string is put together here, never stored."""

import hashlib
import io
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from processing import health, queue, runner, traces
from processing.models import Run
from processing.scanning.clamd import Clamd, NotScanned
from uploads.intake import Offer, receive_upload
from uploads.models import Door

pytestmark = pytest.mark.services

# Source: EICAR, "Anti-Malware Testfile", 2003.
TEST_STRING = (
    "X5O!P%@AP[4" + chr(92) + "PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-" + "FILE!$H+H*"
).encode()
MAX_BYTES = 4 * 1024 * 1024
STARTS_WITHIN_S = 120

CONFIGURATION = """
Foreground yes
LocalSocket {folder}/clamd.ctl
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
StreamMaxLength {limit}
MaxFileSize {limit}
MaxScanSize {limit}
AlertExceedsMax yes
MaxThreads 2
"""


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    program = shutil.which("clamd")
    if program is None:
        pytest.skip("clamd is not installed.")
    folder = tmp_path_factory.mktemp("clamd")
    signatures = folder / "signatures"
    signatures.mkdir()
    digest = hashlib.md5(TEST_STRING).hexdigest()
    (signatures / "own.hdb").write_text(f"{digest}:{len(TEST_STRING)}:Own-Test-File\n")
    (signatures / "own.ndb").write_text(f"Own-Test-String:0:*:{TEST_STRING.hex()}\n")
    configuration = folder / "clamd.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, limit=MAX_BYTES))
    process = subprocess.Popen(
        [program, f"--config-file={configuration}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for(process, folder / "clamd.ctl")
        yield Clamd(f"unix:{folder}/clamd.ctl", 60.0)
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def _wait_for(process: "subprocess.Popen[str]", path: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"clamd ended: {process.stdout.read()[-2000:]}")
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(path))
                return
            except OSError:
                time.sleep(0.1)
    pytest.fail("clamd did not start.")


def zipped(content: bytes, depth: int = 1) -> bytes:
    for level in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{level}.bin", content)
        content = file.getvalue()
    return content


def pieces(content: bytes, size: int = 7) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def test_it_says_who_it_is(clamd):
    assert clamd.version().program.startswith("1.")


@pytest.mark.parametrize(
    "content",
    [TEST_STRING, zipped(TEST_STRING), zipped(TEST_STRING, 4), b"x" * 100_000 + TEST_STRING],
    ids=["alone", "in a zip", "four deep", "at the end"],
)
def test_it_finds_the_test_string_wherever_it_is(clamd, content):
    found = clamd.scan(pieces(content, 1000))
    assert found is not None
    assert found.startswith("Own-Test-")


def test_it_finds_it_across_pieces_of_a_stream(clamd):
    assert clamd.scan(pieces(TEST_STRING, 1)) is not None


def test_it_passes_what_is_clean(clamd):
    assert clamd.scan([b"nothing to see\n" * 1000]) is None


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 64 * MAX_BYTES])
def test_what_is_longer_than_a_stream_may_be_is_not_scanned(clamd, size):
    with pytest.raises(NotScanned) as failure:
        clamd.scan(bytes(256 * 1024) for _ in range(size // (256 * 1024) + 1))
    assert failure.value.code in ("scanner_limit", "scanner_lost")


def test_what_unpacks_to_more_than_it_scans_is_not_clean(clamd):
    with pytest.raises(NotScanned) as failure:
        clamd.scan([zipped(bytes(20 * MAX_BYTES))])
    assert failure.value.code == "scanner_limit"


@pytest.mark.django_db
@pytest.mark.usefixtures("pipelines")
@pytest.mark.parametrize(
    ("content", "verdict"),
    [(b"clean\n", "passed"), (TEST_STRING, "quarantined"), (zipped(TEST_STRING), "quarantined")],
)
def test_an_upload_is_judged_by_it(clamd, owner, client_of, settings, content, verdict):
    settings.UPLOADS = {
        **settings.UPLOADS,
        "REQUIRED_CHECKS": ["archive_limits", "antivirus"],
        "CLAMD": clamd.address,
        "CLAMD_MAX_BYTES": MAX_BYTES,
    }
    assert health.antivirus().health == "ok"
    offer = Offer(owner=owner, name="a", declared_type="", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(content))
    url = f"/api/v1/uploads/{upload.pk}/content/"
    assert client_of(owner).get(url).status_code == 409
    Run.objects.update(due_at=timezone.now())
    upload.refresh_from_db()
    claim = queue.claim(_run_of(upload), "worker")
    assert claim is not None
    runner.execute(claim)
    upload.refresh_from_db()
    assert upload.verdict == verdict
    trace: Any = traces.trace_of(Run.objects.get(pk=_run_of(upload)))
    assert "antivirus" in [view.record.step for view in trace]
    status = client_of(owner).get(url).status_code
    assert status == (200 if verdict == "passed" else 403)


def _run_of(upload: Any) -> Any:
    return upload.run_id
