"""`manage.py up` and how it ends. What is measured here needs a quiet machine."""

import hashlib
import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.stack import ROOT, START_S, Stack, ended, until, upload

pytestmark = pytest.mark.faults

BUSY = b"some line with words in it\n" * 100_000  # seconds of work


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file below `folder` that a mere start must not touch."""
    kept = ("keys", "blobs", "drop", "first-login.json", "static")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] in kept
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_ends_everything_within_5_s(
    own_stack: Stack, number: signal.Signals
) -> None:
    own_stack.start()
    with own_stack.client() as client:
        body = upload(client, "busy.log", BUSY)
        until(
            lambda: client.get(f"/api/v1/runs/{body['run']}/").json()["state"] == "running",
            within_s=30,
        )
    family = own_stack.processes()
    assert own_stack.stop(number) < 5
    assert own_stack.process is not None
    assert own_stack.process.returncode == 0
    assert running_still(family) == []


def running_still(family: list[psutil.Process]) -> list[psutil.Process]:
    """Return who still runs. Whom the system has not buried yet does not."""
    left = []
    for process in psutil.wait_procs(family, timeout=0.5)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def test_when_up_itself_is_killed_its_parts_end_too(own_stack: Stack) -> None:
    own_stack.start()
    family = own_stack.processes()
    assert own_stack.process is not None
    own_stack.process.kill()
    own_stack.process.wait()
    assert not psutil.wait_procs(family, timeout=8)[1]


def test_a_second_start_takes_less_than_6_s_and_touches_nothing(new_stack: Stack) -> None:
    first_s = new_stack.start()
    assert "First accounts" in new_stack.output()
    with new_stack.client() as client:
        body = upload(client, "kept.txt", b"one\ntwo\n")
        ended(client, body["run"])
    new_stack.stop()
    before = digests(new_stack.data)
    seconds = new_stack.start()
    assert digests(new_stack.data) == before
    assert "First accounts" not in new_stack.output()
    with new_stack.client() as client:
        assert client.get(body["content_url"]).content == b"one\ntwo\n"
    # A slow machine has as much longer as its first start took; there is less to do this time.
    # What else runs can only make a start longer, so that the shortest of some tells.
    bound_s = max(6, 0.6 * first_s)
    for _ in range(2):
        if seconds >= bound_s:
            new_stack.stop()
            seconds = new_stack.start()
    assert seconds < bound_s


def test_what_was_interrupted_goes_on_after_the_next_start(own_stack: Stack) -> None:
    own_stack.start()
    with own_stack.client() as client:
        body = upload(client, "busy.log", BUSY)
        until(
            lambda: client.get(f"/api/v1/runs/{body['run']}/").json()["state"] == "running",
            within_s=30,
        )
    own_stack.stop()
    own_stack.start()
    with own_stack.client() as client:
        assert ended(client, body["run"])["state"] == "succeeded"


# --- What does not start --------------------------------------------------------------------


def refusal(stack: Stack) -> str:
    """Return the one sentence with which it refuses to start."""
    process = stack.launch()
    assert process.wait(timeout=START_S) == 1
    (line,) = stack.output().splitlines()
    return line


def test_a_port_that_is_taken_is_said(own_stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own_stack.port))
        taken.listen()
        assert f"Port {own_stack.port} is in use." in refusal(own_stack)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stack = Stack(tmp_path / "file" / "data")
    stack.log = tmp_path / "log"
    assert "cannot be written" in refusal(stack)


def test_a_second_up_on_the_same_folder_is_refused(own_stack: Stack) -> None:
    own_stack.start()
    other = Stack(own_stack.data)
    other.log = own_stack.log.with_name("other.log")
    assert "already running" in refusal(other)
    assert own_stack.process is not None
    assert own_stack.process.poll() is None


def test_keys_that_are_lost_are_not_made_anew(own_stack: Stack) -> None:
    (own_stack.data / "keys" / "master-keys.json").unlink()
    assert "Restore it from your backup" in refusal(own_stack)
    assert not (own_stack.data / "keys" / "master-keys.json").exists()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 127", "needs Python 3.11"),
        (
            'case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2;; esac',
            "needs Python 3.11 or later, and ./python is Python 3.9.2",
        ),
        ('case "$*" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
)
def test_make_says_what_this_machine_lacks(tmp_path: Path, script: str, sentence: str) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements.lock").touch()
    python = tmp_path / "python"
    if script != "exit 127":
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    result = subprocess.run(
        ["make", "up", "PYTHON=./python"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1
    assert sentence in said[0]
    assert not (tmp_path / ".venv").exists()
