"""An installation in a folder of its own, looked at from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

INVENTORY = """
import hashlib, json
from uploads.models import Upload
from uploads.names import name_of
from uploads.reading import open_content
def digest(upload):
    with open_content(upload) as content:
        return hashlib.sha256(b"".join(content.chunks())).hexdigest()
print(json.dumps({name_of(u): digest(u) for u in Upload.objects.all()}))
"""


class Installation:
    """What `manage.py` can be asked about one data folder."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.uploads: list[str] = []  # ids, where a test has made some
        folder.mkdir(exist_ok=True)
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("STRONGROOM_", "PG"))}
        self.env = {
            **kept,
            "STRONGROOM_DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            **env,
        }

    def manage(self, *arguments: str) -> tuple[int, str]:
        """Return exit code, and all that was printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.env, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def verify(self) -> tuple[int, Any]:
        """Return exit code and report."""
        done = subprocess.run(
            [sys.executable, "manage.py", "verify", "--json", "--grace", "0"],
            cwd=ROOT, env=self.env, text=True, check=False, capture_output=True,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout)

    def inventory(self) -> dict[str, str]:
        """Return the SHA-256 of every upload's content, by its name."""
        code, printed = self.manage("shell", "-v0", "-c", INVENTORY)
        assert code == 0, printed
        found: dict[str, str] = json.loads(printed.splitlines()[-1])
        return found
