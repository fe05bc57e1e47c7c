"""The queue's own tests, against a PostgreSQL server."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
SERVER = os.environ.get("STRONGROOM_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server() -> str:
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    return SERVER


@pytest.mark.parametrize(
    ("tests", "passed_at_least"),
    [
        (["test_ledger.py", "test_broker.py", "test_tasks.py", "test_heartbeat.py"], 60),
        (["test_cluster_goes_on.py", "on_postgresql.py"], 11),
    ],
)
def test_the_queue_holds(server, tests, passed_at_least):
    folder = Path("tests", "processing", "queue")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db"),
            *(str(folder / name) for name in tests),
        ],
        cwd=ROOT,
        env={**os.environ, "STRONGROOM_DATABASE_URL": server},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = int(done.stdout.splitlines()[-1].partition(" passed")[0].rpartition(" ")[2])
    assert passed >= passed_at_least
