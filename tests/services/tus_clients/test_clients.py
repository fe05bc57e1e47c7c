"""Clients that others wrote, unchanged, against a real server."""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.uploads.tus.installation import COLLECTION, Installation

pytestmark = pytest.mark.services

HERE = Path(__file__).parent
CONTENT = random.Random(13).randbytes(9 * 1024 * 1024 + 17)
TUS_JS_CLIENT = "tus-js-client@4.3.1"
TUSPY = [sys.executable, str(HERE / "upload.py")]  # of the development environment


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("tus") / "data", like=prepared)
    try:
        yield installation
    finally:
        installation.end()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "content.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command that uploads with tus-js-client."""
    if shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed.")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(HERE / "upload.js", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), TUS_JS_CLIENT]
    installed = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    if installed.returncode:
        pytest.skip("tus-js-client cannot be had from here.")
    return ["node", str(folder / "upload.js")]


def arguments(installation: Installation, file: Path) -> list[str]:
    endpoint = f"http://127.0.0.1:{installation.port}{COLLECTION}"
    return [endpoint, installation.token, str(file)]


def assert_arrived(installation: Installation, output: str) -> None:
    location = output.split("DONE ")[1].strip()
    signed = {"Authorization": f"Bearer {installation.token}"}
    status, headers, body = installation.request("GET", location + "content/", headers=signed)
    assert status == 200
    assert body == CONTENT
    assert headers["etag"].strip('"') == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("mode", ["chunked", "with-creation"])
def test_tus_js_client_stops_and_goes_on(installation, node, file, mode):
    assert_uploads(installation, node, file, mode)


def test_tus_js_client_sends_all_at_once(installation, node, file):
    assert_uploads(installation, node, file, "whole")


def assert_uploads(installation, node, file, mode):
    command = [*node, *arguments(installation, file), mode]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_arrived(installation, done.stdout)


def test_tus_js_client_outlives_a_killed_server(installation, node, file):
    command = [*node, *arguments(installation, file), "retried"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for line in client.stdout:
            if line.startswith("PROGRESS") and int(line.split()[1]) > 2_000_000:
                break
        installation.kill()
        time.sleep(0.5)
        installation.start()
        rest = client.stdout.read()
    assert client.returncode == 0
    assert_arrived(installation, rest)


@pytest.mark.parametrize("checksum", ["checksum", "none"])
def test_tuspy_stops_and_goes_on(installation, file, checksum):
    command = [*TUSPY, *arguments(installation, file), checksum]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_arrived(installation, done.stdout)
