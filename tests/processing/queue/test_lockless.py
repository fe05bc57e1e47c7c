"""The parts that django-q2 is given, and whether it still uses them as we think."""

import ast
import multiprocessing
import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import django_q
import pytest
from django_q.conf import Conf

from processing.queue.lockless import Flag, PacketQueue, Timer

SOURCES = {
    name: ast.parse(Path(django_q.__file__).with_name(f"{name}.py").read_text())
    for name in ("cluster", "pusher", "worker", "monitor", "status")
}
PARTS = {
    "queue": {"task_queue", "result_queue"},
    "event": {"stop_event", "start_event", "event_out", "event"},
    "timer": {"timer"},
}


def used(part: str) -> set[str]:
    """Return the attributes that django-q2 uses of a part, by the names that it gives them."""
    return {
        node.attr
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and getattr(node.value, "attr", getattr(node.value, "id", "")) in PARTS[part]
    }


@pytest.mark.parametrize(
    ("part", "stand_in", "attributes", "missing"),
    [
        ("queue", PacketQueue, {"put", "get", "empty", "close", "join_thread", "qsize"}, {"qsize"}),
        ("event", Flag, {"set", "is_set", "wait"}, set()),
        ("timer", Timer, {"value", "get_lock"}, set()),
    ],
)
def test_django_q2_uses_of_each_part_what_the_stand_in_has(part, stand_in, attributes, missing):
    assert used(part) == attributes
    assert {name for name in attributes if not hasattr(stand_in, name)} == missing


def test_django_q2_counts_packets_only_if_it_may():
    guarded = [
        node
        for node in ast.walk(SOURCES["status"])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "Conf.QSIZE"
    ]
    within = "\n".join(map(ast.unparse, guarded))
    everywhere = "\n".join(map(ast.unparse, SOURCES.values()))
    assert within.count("qsize") == everywhere.count("qsize") == 2
    assert hasattr(Conf, "QSIZE")


def test_django_q2_makes_its_parts_by_the_names_that_we_replace():
    names = ("Queue", "Event", "Value", "Sentinel", "pusher", "worker", "monitor")
    calls, targets = defaultdict(set), set()
    for node in ast.walk(SOURCES["cluster"]):
        if isinstance(node, ast.Call):
            call = ast.unparse(node)
            if isinstance(node.func, ast.Name) and node.func.id in names:
                calls[node.func.id].add(call)
            if call.startswith(("self.spawn_process", "get_mp_context().Process")):
                given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "target")]
                targets |= {ast.unparse(argument) for argument in given}
    assert dict(calls) == {
        "Queue": {"Queue(maxsize=Conf.QUEUE_LIMIT)", "Queue()"},
        "Event": {"Event()"},
        "Value": {"Value('f', -1)"},
    }
    assert targets == {"Sentinel", "target", "pusher", "worker", "monitor"}


def test_packets_arrive_whole_and_in_order():
    queue = PacketQueue()
    items = [{"number": n, "text": "x" * n * 100} for n in range(20)]
    for item in items:
        queue.put(item)
    assert not queue.empty()
    assert [queue.get() for _ in items] == items
    assert queue.empty()
    queue.close()


def test_a_packet_of_a_hundred_kilobytes_passes():
    queue = PacketQueue()
    queue.put("x" * 100_000)
    assert queue.get() == "x" * 100_000
    queue.close()


@pytest.mark.parametrize("maxsize", [2, 4, 16])
def test_a_full_queue_blocks_until_somebody_takes(maxsize):
    queue = PacketQueue(maxsize)
    count = 0

    def fill() -> None:
        nonlocal count
        while count < 500:
            queue.put({"args": ("x" * 600,)})
            count += 1

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    time.sleep(0.1)
    assert maxsize <= count <= 4 * maxsize
    for _ in range(500):
        queue.get()
    thread.join(5)
    assert not thread.is_alive()
    queue.close()


def read_until_stop(queue: PacketQueue, seen: PacketQueue) -> None:
    for item in iter(queue.get, "STOP"):
        seen.put((os.getpid(), item))


def test_readers_killed_while_they_wait_take_nothing_with_them():
    context = multiprocessing.get_context("fork")
    queue, seen = PacketQueue(), PacketQueue()
    readers = [
        context.Process(target=read_until_stop, args=(queue, seen), daemon=True) for _ in range(6)
    ]
    for reader in readers:
        reader.start()
    time.sleep(0.1)
    for reader in readers[:5]:
        assert reader.pid
        os.kill(reader.pid, signal.SIGKILL)
        reader.join()
    for number in range(50):
        queue.put(number)
    assert [seen.get() for _ in range(50)] == [(readers[5].pid, number) for number in range(50)]
    queue.put("STOP")
    readers[5].join(5)
    assert readers[5].exitcode == 0
    for each in (queue, seen):
        each.close()


def test_a_flag_that_is_set_once_stays_set_for_everybody():
    flag = Flag()
    assert not flag.is_set()
    assert not flag.wait(0.01)
    context = multiprocessing.get_context("fork")
    setter: Any = context.Process(target=flag.set)
    setter.start()
    assert flag.wait(5)
    for _ in range(100_000):
        flag.set()
    assert flag.is_set()
    setter.join()


def test_a_timer_is_one_number_for_two_processes():
    timer = Timer("f", -1)
    assert timer.value == -1
    context = multiprocessing.get_context("fork")
    setter: Any = context.Process(target=set_timer, args=(timer, 7.5))
    setter.start()
    setter.join()
    with timer.get_lock():
        assert timer.value == 7.5


def set_timer(timer: Timer, value: float) -> None:
    timer.value = value
