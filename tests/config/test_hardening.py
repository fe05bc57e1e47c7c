"""No process that may hold keys leaves them in a core dump, nor do its children."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import ctypes, json, os, resource, subprocess, sys
if sys.argv[1:] == ["django"]:
    import django; django.setup()
child = subprocess.run(
    [sys.executable, "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"],
    capture_output=True, text=True, check=True,
).stdout.strip()
print(json.dumps({
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
    "child": child,
}))
"""


def look(*arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments],
        cwd=ROOT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_process_with_our_settings_cannot_be_dumped_and_its_children_neither():
    assert look("django") == {"core": [0, 0], "dumpable": 0, "child": "(0, 0)"}


def test_without_them_it_could_be():
    assert look()["dumpable"] == 1
