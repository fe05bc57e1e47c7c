"""What the documents tell a program to do, done: the example, and the lines for a shell."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.line import Line
from tests.stack import ROOT, Stack

EXAMPLE = ROOT / "docs" / "examples" / "hand_in.py"
PAGE = ROOT / "docs" / "http-api.md"
LINES = re.compile(r"```sh\n(.*?)```", re.DOTALL)
MIB = 1024 * 1024


def hand_in(stack: Stack, file: Path, *, port: int) -> list[str]:
    server = f"http://localhost:{port}"
    return [sys.executable, str(EXAMPLE), str(file), "--server", server, "--username", "demo"]


@pytest.fixture
def env(stack: Stack) -> dict[str, str]:
    return {**os.environ, "STRONGROOM_PASSWORD": stack.login()["password"]}


def test_the_example_hands_in_and_waits(stack, demo: httpx2.Client, env, tmp_path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear all,\nthis is a letter.\n" * 1000)
    command = hand_in(stack, file, port=stack.port)
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    upload = json.loads(done.stdout)
    assert (upload["name"], upload["state"]) == ("letter.txt", "succeeded")
    assert demo.get(upload["content_url"]).content == file.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_the_example_goes_on_after_it_was_killed_and_the_line_was_cut(
    stack, demo: httpx2.Client, env, tmp_path
) -> None:
    file = tmp_path / "noise.bin"
    file.write_bytes(random.Random(5).randbytes(40 * MIB))
    line = Line(stack.port, bytes_per_s=20 * MIB)
    try:
        command = hand_in(stack, file, port=line.port)
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as first:
            assert first.stderr is not None
            first.stderr.readline()
            line.cut()
            assert "of" in first.stderr.readline(), "it goes on after the cut"
            first.kill()
        done = subprocess.run(
            command, env=env, check=False, capture_output=True, text=True, timeout=90
        )
    finally:
        line.close()
    assert done.returncode in {0, 1}, done.stderr
    assert int(done.stderr.split()[0]) > 8 * MIB, "it does not begin anew"
    upload = json.loads(done.stdout)
    assert (
        demo.get(upload["content_url"], params={"accept_risk": "true"}).content == file.read_bytes()
    )


def test_the_example_says_why_a_file_is_refused(stack, env, tmp_path) -> None:
    file = tmp_path / "tool.txt"
    file.write_bytes(b"MZ\x90\x00" + bytes(60) + b"PE\0\0" + bytes(200))
    command = hand_in(stack, file, port=stack.port)
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (2, "")
    assert "media_type_denied" in done.stderr
    assert list(tmp_path.iterdir()) == [file]


def test_the_lines_for_a_shell_do_what_they_say(stack, tmp_path) -> None:
    (script,) = LINES.findall(PAGE.read_text())
    (tmp_path / "report.txt").write_text("one line\nand another\n")
    script = script.replace("http://localhost:8000", stack.url)
    script = script.replace("PASSWORD", stack.login()["password"])
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "report.txt").read_bytes()
    assert '"report.txt"' in done.stdout
