"""The house rules that a machine can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("config", "uploads", "processing", "dashboard")
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "services.py"}
TOP_LEVEL = {
    *ROOMS, "manage.py", "pyproject.toml", "README.md", "tests", "requirements.lock",
    "requirements-dev.lock", "Makefile", "CHANGELOG.md", "docs", "deploy",
}  # fmt: skip


def modules() -> list[Path]:
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_layers_and_purity_hold():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("pattern", "keepers"),
    [
        ("django_q", {"processing/queue", "config/settings/base.py", "processing/admin.py"}),
        (r"\bStepRecord\.objects\.(bulk_)?create", {"processing/traces.py"}),
        (r"(?<!class )\bStepRecord\(|\bmade\(\s*StepRecord\b", {"processing/traces.py"}),
        (r"\bBlobReader\(", {"uploads/reading.py", "uploads/encryption"}),
        (
            r"(?<!class )\bUpload\(|\bmade\(\s*Upload\b|\bUpload\.objects\.(bulk_)?create",
            {"uploads/intake.py"},
        ),
        (r"\bEvent\W+owner|\bEvent\.objects\.(bulk_)?create", {"config/events/announce.py"}),
    ],
)
def test_each_thing_has_one_keeper(pattern, keepers):
    users = {str(p.relative_to(ROOT)) for p in modules() if re.search(pattern, p.read_text())}
    strays = {user for user in users if not any(user.startswith(keeper) for keeper in keepers)}
    assert users, "Nobody does this any more: the rule is out of date."
    assert strays == set()


def test_no_module_is_a_drawer_for_everything():
    assert [p for p in modules() if p.name in FORBIDDEN_NAMES] == []


def test_no_module_grows_beyond_one_concern():
    long = {str(p.relative_to(ROOT)) for p in modules() if len(p.read_text().splitlines()) > 400}
    assert long == set()


def test_the_top_level_is_as_mandated():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    top = {path.split("/")[0] for path in tracked}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
