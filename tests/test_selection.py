"""What is run once more on another database: each test that may use it, and no other."""

import subprocess
import sys
from pathlib import Path

from tests.stack import ROOT

TESTS = """
import pytest

@pytest.fixture
def deep(owner): pass

@pytest.mark.django_db
def test_marked(): pass

@pytest.mark.django_db(transaction=True)
class TestMarked:
    def test_inside(self): pass

def test_fixture(db): pass
def test_transactions(transactional_db): pass
def test_of_the_cast(owner, client_of): pass
def test_at_a_distance(deep): pass
def test_pure(tmp_path): pass
def test_settings(settings): pass
"""
USING = {"marked", "inside", "fixture", "transactions", "of_the_cast", "at_a_distance"}


def test_the_tests_that_may_use_the_database_are_selected(tmp_path: Path) -> None:
    (tmp_path / "test_all.py").write_text(TESTS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--collect-only", "--database-only"),
            *("-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")),
            *("--rootdir", str(tmp_path), str(tmp_path / "test_all.py")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *listed, summary = filter(None, done.stdout.splitlines())
    assert {line.rpartition("::test_")[2] for line in listed} == USING
    assert "6/8 tests collected (2 deselected)" in summary
