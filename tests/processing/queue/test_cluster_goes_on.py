"""A real cluster, whatever it is sent and whoever in it is killed."""

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.utils import timezone
from django_q.models import OrmQ, Task

from processing import queue
from processing.models import Run, RunState, Worker
from processing.queue import bell, messages
from tests.processing.queue.processes import (
    LEASE_S,
    RECOVERY_S,
    ClusterProcess,
    kill,
    until,
    until_succeeded,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.usefixtures("common_bell"),
]

MAY_TAKE_S = 1.0  # a pick-up takes milliseconds, a missed bell a poll of a second or more


@pytest.fixture(scope="module")
def standing(shared_database: None, tmp_path_factory: Any) -> Iterator[ClusterProcess]:
    """Return the cluster that has to stand all tests of this module."""
    cluster = ClusterProcess(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    until(lambda: queue.health().ready)
    yield cluster
    cluster.end()


@pytest.fixture
def cluster(standing: ClusterProcess) -> Iterator[ClusterProcess]:
    standing.behave()
    yield standing
    assert not standing.has_ended()


def test_a_run_is_picked_up_at_once_and_once(cluster, queue_run):
    for _ in range(5):
        run = queue_run()
        assert until_succeeded(run) < MAY_TAKE_S
        assert cluster.count("began", run) == 1
    assert not OrmQ.objects.exists()
    assert not Task.objects.exists()


def test_messages_may_be_lost_doubled_shuffled_and_forged(cluster, make_run):
    lost, doubled, *others = runs = [make_run().pk for _ in range(8)]
    payloads = [messages.sign(run) for run in (doubled, doubled, *reversed(others))]
    forged = [f"{doubled}:x", "", messages.tick_task()]
    for payload in (*forged, *payloads, *forged):
        OrmQ.objects.create(key="strongroom", payload=payload, lock=timezone.now())
    bell.ring()
    until_succeeded(*runs)
    OrmQ.objects.create(key="strongroom", payload=payloads[0], lock=timezone.now())
    bell.ring()
    until(lambda: not OrmQ.objects.exists())
    assert cluster.count("began", lost) == 1
    assert cluster.count("began", *runs) == len(runs)


def test_a_run_without_a_message_is_found(cluster, make_run):
    run = make_run().pk
    assert until_succeeded(run) < 4


def test_every_idle_worker_beats(cluster):
    workers = cluster.named("queue-worker")

    def are_there() -> bool:
        names = Worker.objects.values_list("name", flat=True)
        return {int(name.rpartition("/")[2]) for name in names} == set(workers)

    until(are_there)
    assert queue.health().ready


def test_idle_workers_that_are_killed_stop_nothing(cluster, queue_run):
    for _ in range(10):
        kill(*cluster.named("queue-worker"))
        run = queue_run()
        assert until_succeeded(run) < RECOVERY_S


def test_busy_workers_that_are_killed_cost_at_most_the_lease(cluster, queue_run):
    cluster.behave(sleep_s=30)
    runs = [queue_run(), queue_run()]
    until(lambda: cluster.count("began", *runs) == 2)
    cluster.behave()
    kill(*cluster.named("queue-worker"))
    assert until_succeeded(*runs) < RECOVERY_S
    assert [run.attempt for run in Run.objects.all()] == [2, 2]
    assert cluster.count("finished", *runs) == 2


def test_an_abandoned_run_is_given_up_while_all_workers_are_busy(
    cluster, queue_run, make_abandoned
):
    cluster.behave(sleep_s=6)
    runs = [queue_run(), queue_run()]
    until(lambda: cluster.count("began", *runs) == 2)
    abandoned = Run.objects.filter(pk=make_abandoned().pk, state=RunState.QUEUED)
    until(abandoned.exists, LEASE_S + 2.0)
    assert cluster.count("finished", *runs) == 0
    cluster.behave()
    until_succeeded(*runs)


@pytest.mark.parametrize("name", ["queue-pusher", "queue-monitor"])
def test_a_killed_child_is_replaced_and_the_work_goes_on(cluster, queue_run, name):
    for _ in range(2):
        until(lambda: len(cluster.named(name)) == 1)
        run = queue_run()
        kill(*cluster.named(name))
        assert until_succeeded(run) < RECOVERY_S


def test_ticks_do_not_pile_up_while_the_workers_are_busy(cluster, queue_run):
    cluster.behave(sleep_s=5)
    runs = [queue_run(), queue_run()]
    until(lambda: cluster.count("began", *runs) == 2)
    (pusher,) = cluster.named("queue-pusher")
    until_succeeded(*runs)
    cluster.behave()
    run = queue_run()
    assert until_succeeded(run) < MAY_TAKE_S
    assert cluster.named("queue-pusher") == [pusher]


def test_two_clusters_share_the_work_and_do_nothing_twice(cluster, queue_run, tmp_path):
    second = ClusterProcess(tmp_path)
    second.start()
    try:
        for each in (cluster, second):
            each.behave(sleep_s=0.05)
        runs = [queue_run() for _ in range(30)]
        until_succeeded(*runs)
        shares = [each.count("began", *runs) for each in (cluster, second)]
        assert sum(shares) == 30
        assert min(shares) > 0
    finally:
        second.end()
    assert psutil.pid_exists(cluster.process.pid)
