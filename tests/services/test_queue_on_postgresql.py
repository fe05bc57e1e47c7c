"""The tests of real clusters, against a PostgreSQL server.

Those of the ledger, the broker and the tasks run there with all tests that use the database.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
TESTS = ["test_cluster_goes_on.py", "on_postgresql.py"]
SERVER = os.environ.get("STRONGROOM_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server() -> str:
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    return SERVER


def test_the_queue_holds(server):
    tests = [ROOT / "tests/processing/queue" / name for name in TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db", *tests],
        cwd=ROOT,
        env={**os.environ, "STRONGROOM_DATABASE_URL": server},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = int(done.stdout.splitlines()[-1].partition(" passed")[0].rpartition(" ")[2])
    assert passed >= 12
