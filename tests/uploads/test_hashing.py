"""Hashing beside other work: the same digest, and nothing runs on after the block."""

import hashlib
import os
import signal
import threading

import pytest

from uploads import hashing
from uploads.hashing import ASIDE_BYTES, Helpers

DATA = os.urandom(ASIDE_BYTES)


class Watched:
    """A digest that knows where it was fed, and waits if told so."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.threads: list[str] = []
        self._gate = gate

    def update(self, _: bytes) -> None:
        if self._gate is not None:
            assert self._gate.wait(10)
        self.threads.append(threading.current_thread().name)


def test_large_pieces_are_hashed_in_order_while_the_caller_goes_on() -> None:
    helpers, digest, gate = Helpers(1), hashlib.sha256(), threading.Event()
    for _ in range(3):
        with helpers.hashing(digest, DATA):
            pass
    assert digest.digest() == hashlib.sha256(DATA * 3).digest()
    watched = Watched(gate)
    with helpers.hashing(watched, DATA):  # type: ignore[arg-type]
        assert not watched.threads
        gate.set()
    assert watched.threads[0].startswith("hashing")


@pytest.mark.parametrize(("count", "data"), [(0, DATA), (1, DATA[:-1])])
def test_without_a_helper_or_for_little_the_caller_hashes(count: int, data: bytes) -> None:
    watched = Watched()
    with Helpers(count).hashing(watched, data):  # type: ignore[arg-type]
        assert watched.threads == [threading.current_thread().name]


def test_nobody_waits_for_a_helper_that_is_busy() -> None:
    helpers, gate = Helpers(1), threading.Event()
    busy, other = Watched(gate), Watched()
    with helpers.hashing(busy, DATA):  # type: ignore[arg-type]
        with helpers.hashing(other, DATA):  # type: ignore[arg-type]
            assert other.threads == [threading.current_thread().name]
        gate.set()


def test_what_the_caller_raises_leaves_no_hashing_behind_and_the_helper_free() -> None:
    helpers = Helpers(1)
    for _ in range(2):
        watched = Watched()
        with pytest.raises(KeyError), helpers.hashing(watched, DATA):  # type: ignore[arg-type]
            raise KeyError
        assert watched.threads[0].startswith("hashing")


@pytest.mark.skipif(os.cpu_count() == 1, reason="a single core has no helpers")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    digest = hashlib.sha256()
    with hashing.hashing(digest, DATA):
        pass
    child = os.fork()
    if not child:
        signal.alarm(10)
        with hashing.hashing(hashlib.sha256(), DATA):
            pass
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
