"""Redis and RabbitMQ carry messages; whatever happens to these, the ledger is the truth."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from processing import queue
from processing.models import Run, RunState
from processing.queue import messages, remote
from processing.queue.remote import kombu
from processing.queue.stop import STOP
from tests.processing.queue.conftest import (  # noqa: F401 - fixtures
    make_run,
    shared_database,
)
from tests.processing.queue.processes import ClusterProcess, until_succeeded

REDIS = os.environ.get("STRONGROOM_TEST_REDIS", "redis://127.0.0.1:6379/14")
RABBITMQ = os.environ.get("STRONGROOM_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
NOBODY = "amqp://guest:guest@127.0.0.1:9//"

pytestmark = pytest.mark.services


def use(url: str, settings: Any, monkeypatch: Any) -> None:
    settings.PROCESSING = {**settings.PROCESSING, "BROKER_URL": url}
    monkeypatch.setenv("STRONGROOM_BROKER_URL", url)
    remote._sender.cache_clear()


@pytest.fixture(params=[REDIS, RABBITMQ], ids=["redis", "rabbitmq"])
def broker(request: Any, settings: Any, monkeypatch: Any) -> Iterator[str]:
    url = request.param
    try:
        with kombu.Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1)
            remote._queue()(connection.default_channel).declare()
            remote._queue()(connection.default_channel).purge()
    except (OSError, *kombu.Connection(url).connection_errors) as error:
        pytest.skip(f"no server: {error}")
    use(url, settings, monkeypatch)
    yield url
    remote._sender.cache_clear()
    remote.pools.reset()


@pytest.fixture
def cluster(shared_database: None, tmp_path: Path) -> Iterator[ClusterProcess]:  # noqa: F811
    process = ClusterProcess(tmp_path)
    yield process
    process.end()


def queue_runs(make_run: Callable[..., Run], count: int) -> list[UUID]:  # noqa: F811
    runs = []
    for _ in range(count):
        with transaction.atomic():
            runs.append(make_run().pk)
            queue.submit(runs[-1])
    return runs


@pytest.mark.django_db(transaction=True)
def test_what_is_submitted_arrives_once_it_is_committed(broker, shared_database):  # noqa: F811
    receiver = remote.RemoteBroker()
    receiver._ticks._ticked_at = float("inf")
    try:
        receiver.dequeue()
        run_id = uuid4()
        with transaction.atomic():
            queue.submit(run_id)
            assert receiver.dequeue() == []
        arrived: list[Any] = []
        end = time.monotonic() + 10
        while not arrived and time.monotonic() < end:
            arrived.extend(receiver.dequeue())
        assert len(arrived) == 1
        assert arrived[0][0] is None
    finally:
        receiver._hang_up()


@pytest.mark.django_db(transaction=True)
def test_a_cluster_works_on_what_a_broker_tells_of(broker, cluster, make_run):  # noqa: F811
    cluster.start()
    runs = queue_runs(make_run, 20)
    until_succeeded(*runs)
    assert cluster.count("began", *runs) == 20


FORGED = ["", "no run", str(uuid4()), f"{uuid4()}:forged", messages.sign(uuid4()), "\x00" * 5000]


@pytest.mark.django_db(transaction=True)
def test_messages_may_be_lost_doubled_late_shuffled_and_forged(
    broker,
    cluster,
    make_run,  # noqa: F811
    monkeypatch,
):
    """Nothing is lost, and nothing is done twice."""
    chance = random.Random(4)
    send, held_back = remote.Sender.send, list(FORGED)

    def unreliably(self: remote.Sender, payload: str) -> None:
        held_back.extend([payload] * chance.choice((0, 1, 1, 2, 4)))
        chance.shuffle(held_back)
        for _ in range(chance.randint(0, 3)):
            if held_back:
                send(self, held_back.pop())

    monkeypatch.setattr(remote.Sender, "send", unreliably)
    cluster.start()
    runs = queue_runs(make_run, 60)
    for payload in held_back:
        send(remote._sender(), payload)
    until_succeeded(*runs)
    assert cluster.count("began", *runs) == 60
    assert Run.objects.filter(fence__gt=1).count() == 0


@pytest.mark.django_db(transaction=True)
def test_without_its_broker_a_system_takes_files_in_and_works_on_them(
    cluster,
    make_run,  # noqa: F811
    settings,
    monkeypatch,
):
    use(NOBODY, settings, monkeypatch)
    cluster.start()
    runs = queue_runs(make_run, 5)
    until_succeeded(*runs)
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.SUCCEEDED}
    assert not STOP.is_set()
    remote._sender.cache_clear()
    remote.pools.reset()
