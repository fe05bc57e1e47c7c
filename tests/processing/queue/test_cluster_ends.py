"""How a real cluster ends, and what it leaves behind: nothing."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processing import queue
from processing.models import Run
from processing.queue.cluster import DIED, HUNG, STOPPED
from tests.processing.queue.processes import (
    RECOVERY_S,
    ClusterProcess,
    kill,
    survivors,
    until,
    until_succeeded,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.usefixtures("common_bell"),
]


@pytest.fixture
def cluster(common_bell: None, tmp_path: Path) -> Iterator[ClusterProcess]:
    cluster = ClusterProcess(tmp_path)
    cluster.start()
    yield cluster
    cluster.end()


def test_nothing_outlives_a_killed_sentinel(cluster):
    everybody = cluster.children
    kill(*cluster.named("queue-sentinel"))
    assert survivors(everybody, 2) == []
    assert cluster.process.wait(5) == DIED


def test_nothing_outlives_a_killed_cluster_and_the_next_one_goes_on(cluster, queue_run):
    cluster.behave(sleep_s=30)
    run = queue_run()
    until(lambda: cluster.count("began", run))
    everybody = cluster.children
    kill(cluster.process.pid)
    assert survivors(everybody, 2) == []
    cluster.process.wait()
    cluster.behave()
    cluster.start()
    assert until_succeeded(run) < RECOVERY_S
    assert cluster.count("finished", run) == 1


def test_ctrl_c_in_a_terminal_ends_an_idle_cluster(cluster):
    everybody = cluster.children
    cluster.signal(signal.SIGINT)
    assert until(cluster.has_ended) < 5
    assert cluster.process.wait() == STOPPED
    assert survivors(everybody, 0.5) == []


def test_a_worker_that_is_stopped_gives_its_run_back_without_an_attempt(cluster, queue_run):
    cluster.behave(sleep_s=60)
    runs = [queue_run() for _ in range(4)]
    until(lambda: cluster.count("began", *runs) == 2)
    cluster.signal(signal.SIGTERM)
    assert until(cluster.has_ended) < 3
    assert cluster.process.wait() == STOPPED
    assert [(run.state, run.attempt) for run in Run.objects.all()] == [("queued", 0)] * 4
    assert cluster.count("released", *runs) == 2


def test_a_worker_that_does_not_stop_is_killed_in_time_and_its_run_given_back(cluster, queue_run):
    cluster.behave(sleep_s=60, is_deaf=True)
    run = queue_run()
    until(lambda: cluster.count("began", run))
    everybody = cluster.children
    cluster.signal(signal.SIGTERM)
    assert 2.5 < until(cluster.has_ended) < 5
    assert cluster.process.wait() == STOPPED
    assert survivors(everybody, 0.5) == []
    assert [(run.state, run.attempt) for run in Run.objects.all()] == [("queued", 0)]


def test_a_cluster_whose_workers_hang_ends_itself(tmp_path):
    cluster = ClusterProcess(tmp_path, silence_s=3)
    cluster.start()
    try:
        until(lambda: queue.health().ready)
        everybody = cluster.children
        for pid in cluster.named("queue-worker"):
            psutil.Process(pid).suspend()
        assert cluster.process.wait(60) == HUNG
        assert survivors(everybody, 2) == []
    finally:
        cluster.end()
