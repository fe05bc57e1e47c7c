"""What only a database server can do to a cluster. Run by the tests of the services."""

from pathlib import Path

import pytest
from django.db import connection

from processing import queue
from tests.processing.queue.processes import RECOVERY_S, ClusterProcess, until, until_succeeded

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.services,
    pytest.mark.usefixtures("common_bell"),
]


def test_a_cluster_whose_connections_are_cut_makes_new_ones(queue_run, tmp_path: Path):
    cluster = ClusterProcess(tmp_path)
    cluster.start()
    try:
        until(lambda: queue.health().ready)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert until_succeeded(queue_run()) < RECOVERY_S
        assert until_succeeded(queue_run()) < RECOVERY_S
        assert not cluster.has_ended()
    finally:
        cluster.end()
