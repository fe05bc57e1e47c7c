"""Rows and bells: what wakes a cluster, and what it is given."""

import socket
import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from processing.queue import BellBroker, bell, submit
from processing.queue.delivery import TICK_S
from processing.queue.stop import STOP


@pytest.fixture
def broker(monkeypatch: Any) -> Any:
    """Return a broker that does not tick, and forgets its bell afterwards."""
    broker = BellBroker()
    broker._ticks._ticked_at = float("inf")
    yield broker
    broker._stop_listening()


@pytest.fixture
def patient(broker: BellBroker, monkeypatch: Any) -> BellBroker:
    """Return a broker that listens, and that waits for a bell longer than any machine is slow."""
    broker.dequeue()
    monkeypatch.setattr("processing.queue.broker.POLL_S", 60)
    return broker


@pytest.fixture
def listener() -> Any:
    listener = bell.listen()
    yield listener
    listener.close()


def rung(listener: bell.Bell, timeout_s: float = 0.5) -> bool:
    return listener.wait(timeout_s, unless=STOP.fileno())


def run_ids(deliveries: Any) -> list[str]:
    return [SignedPackage.loads(package)["args"][0] for _, package in deliveries]


@pytest.mark.django_db(transaction=True)
def test_a_submitted_run_rings_and_is_delivered_once(broker, listener):
    run_id = uuid4()
    submit(run_id)
    assert rung(listener)
    assert run_ids(broker.dequeue()) == [str(run_id)]
    assert not OrmQ.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_entry_and_does_not_ring(listener):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        submit(uuid4())
        raise ZeroDivisionError
    assert not OrmQ.objects.exists()
    assert not rung(listener, 0.2)


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_before_the_commit(listener):
    with transaction.atomic():
        submit(uuid4())
        assert not rung(listener, 0.2)
    assert rung(listener)


@pytest.mark.django_db(transaction=True)
def test_a_waiting_broker_is_woken_at_once(patient):
    def submit_soon() -> None:
        time.sleep(0.2)
        submit(run_id)
        connection.close()

    run_id = uuid4()
    thread = threading.Thread(target=submit_soon)
    thread.start()
    began = time.monotonic()
    assert run_ids(patient.dequeue()) == [str(run_id)]
    assert time.monotonic() - began < 20
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_ring_between_the_look_and_the_wait_is_not_lost(patient, monkeypatch):
    take, run_id = BellBroker._take, uuid4()

    def take_too_early(self: BellBroker) -> Any:
        found = take(self)
        if not OrmQ.objects.exists() and not found:
            submit(run_id)
        return found

    monkeypatch.setattr(BellBroker, "_take", take_too_early)
    began = time.monotonic()
    assert run_ids(patient.dequeue()) == [str(run_id)]
    assert time.monotonic() - began < 20


@pytest.mark.django_db(transaction=True)
def test_a_row_that_nobody_rang_for_is_found_by_the_poll(broker, monkeypatch):
    broker.dequeue()
    monkeypatch.setattr(bell, "ring_on_commit", lambda: None)
    submit(run_id := uuid4())
    assert run_ids(broker.dequeue()) == [str(run_id)]


@pytest.mark.django_db
def test_doubled_messages_are_delivered_as_one(broker):
    run_id = uuid4()
    for _ in range(3):
        submit(run_id)
    assert run_ids(broker.dequeue()) == [str(run_id)]


@pytest.mark.django_db
def test_no_more_messages_are_delivered_than_there_are_workers(broker):
    ids = [uuid4() for _ in range(10)]
    for run_id in ids:
        submit(run_id)
    assert run_ids(broker.dequeue()) == [str(run_id) for run_id in ids[: Conf.WORKERS]]
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_every_worker_gets_a_tick_at_once_and_then_now_and_then(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    broker = BellBroker()
    for passed, ticks in [(0.0, 1), (0.1, 0), (TICK_S - 0.2, 0), (0.2, 1), (60.0, 1), (0.1, 0)]:
        clock[0] += passed
        assert len(broker._ticks.due()) == ticks * Conf.WORKERS


@pytest.mark.django_db
def test_messages_do_not_keep_ticks_away():
    broker = BellBroker()
    submit(uuid4())
    names = [SignedPackage.loads(package)["name"] for _, package in broker.dequeue()]
    assert names == ["execute_run"] + ["tick"] * Conf.WORKERS
    broker._stop_listening()


@pytest.mark.django_db
def test_a_database_out_of_reach_is_waited_for(broker, monkeypatch):
    monkeypatch.setattr("processing.queue.broker.POLL_S", 0.01)

    def fail(self: BellBroker) -> Any:
        raise OperationalError

    broker.dequeue()
    with monkeypatch.context() as broken:
        broken.setattr(BellBroker, "_take", fail)
        broken.setattr(connection, "close", lambda: None)  # it is the test's own
        assert broker.dequeue() == []
    assert broker._bell is None, "the old bell may hang on a connection that is gone"
    submit(run_id := uuid4())
    assert run_ids(broker.dequeue()) == [str(run_id)]


def test_every_listener_hears_a_ring():
    listeners = [bell.SocketBell() for _ in range(3)]
    bell.ring()
    assert all(rung(listener) for listener in listeners)
    assert not any(rung(listener, 0) for listener in listeners)
    for listener in listeners:
        listener.close()


def test_a_dead_listener_is_cleared_away(settings):
    dead, alive = bell.SocketBell(), bell.SocketBell()
    dead._socket.close()
    folder = settings.PROCESSING["BELL"].parent
    assert len(list(folder.iterdir())) == 2
    bell.ring()
    assert list(folder.iterdir()) == [alive._path]
    assert rung(alive)
    alive.close()
    assert list(folder.iterdir()) == []


def test_a_listener_that_does_not_listen_does_not_stop_the_ring():
    deaf = bell.SocketBell()
    for _ in range(2000):
        bell.ring()
    assert rung(deaf)
    deaf.close()


@pytest.mark.django_db(transaction=True)
def test_a_bell_that_cannot_be_rung_undoes_nothing(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.PROCESSING = {**settings.PROCESSING, "BELL": tmp_path / "file" / "bell"}
    submit(uuid4())
    assert OrmQ.objects.count() == 1


def test_ringing_for_nobody_is_silent(settings):
    bell.ring()
    assert not settings.PROCESSING["BELL"].parent.exists()


def test_the_bell_may_hang_deeper_than_a_socket_address_is_long(settings, tmp_path):
    deep = tmp_path / ("x" * 100) / ("y" * 100) / "bell"
    settings.PROCESSING = {**settings.PROCESSING, "BELL": deep}
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(OSError, match="too long"):
        other.bind(str(deep))
    listener = bell.SocketBell()
    bell.ring()
    assert rung(listener)
    listener.close()
