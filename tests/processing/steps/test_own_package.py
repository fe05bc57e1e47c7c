"""A step from a package outside the project: the one that newcomers copy."""

import json
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "docs" / "examples" / "strongroom-word-count"

SCRIPT = """
import io, json, sys
sys.path.insert(0, sys.argv[1])
from processing.pipelines import InvalidPipeline, read_source
from processing.sandbox import Sandbox

class Content(io.BytesIO):
    size = 13
    def read_at(self, offset, length):
        return self.getvalue()[offset:offset + length]

class Artifact(io.BytesIO):
    def close(self):
        made.append(self.getvalue().decode())
        super().close()

made = []
pipeline = "name: mine\\nmedia_types: [text/*]\\nsteps: [{step: word_count, settings: {top: TOP}}]"
definition = read_source(pipeline.replace("TOP", "1"))
try:
    read_source(pipeline.replace("TOP", "many"))
except InvalidPipeline as error:
    mistakes = [str(mistake) for mistake in error.mistakes]
with Sandbox(allow_unsandboxed=not Sandbox.support().complete) as sandbox:
    with sandbox.open(Content(b"one two, one\\n"), "text/plain") as session:
        outcome = session.run(
            "word_count",
            settings=definition.steps[0].settings,
            results={},
            open_artifact=lambda name, media_type: Artifact(),
        )
print(json.dumps({"output": outcome.output, "made": made, "mistakes": mistakes}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has what this one has, and the copied package installed."""
    place = tmp_path_factory.mktemp("elsewhere")
    venv.create(place / "venv", with_pip=False)
    site = next((place / "venv" / "lib").glob("python*")) / "site-packages"
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "ours.pth").write_text("\n".join(ours) + "\n")
    install(shutil.copytree(TEMPLATE, place / "strongroom-word-count"), site)
    return place / "venv" / "bin" / "python"


def install(package: Path, site: Path) -> None:
    """Do what pip does with plain modules. Source: PyPA, Core metadata; Entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text())
    name, version = project["project"]["name"], project["project"]["version"]
    for module in project["tool"]["setuptools"]["packages"]:
        shutil.copytree(package / module, site / module)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["project"]["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_its_step_is_found_checked_and_run_in_the_sandbox(python: Path) -> None:
    done = subprocess.run(
        [python, "-c", SCRIPT, ROOT], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    said: Any = json.loads(done.stdout)
    assert said["output"] == {"words": 3, "different": 2, "listed": 1}
    assert said["made"] == ["2\tone\n"]
    assert said["mistakes"] == ["line 3: steps[0].settings.top: 'many' is not of type 'integer'."]


def test_its_own_tests_pass(python: Path) -> None:
    package = python.parents[2] / "strongroom-word-count"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
         "--rootdir", package, package / "tests"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
