"""Hashing beside other work: the same digest, one piece after the other."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from uploads.hashing import ASIDE_BYTES, Hash, Helpers

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


def hash_of(watched: Watched, helpers: Helpers) -> Hash:
    return Hash(watched, helpers)  # type: ignore[arg-type]


def test_large_pieces_are_hashed_in_order_while_the_caller_goes_on() -> None:
    whole = Hash(helpers=Helpers(1))
    for number in range(3):
        whole.update(DATA + bytes([number]))
    expected = hashlib.sha256(b"".join(DATA + bytes([number]) for number in range(3)))
    assert whole.state.digest() == expected.digest()

    gate = threading.Event()
    watched = Watched(gate)
    late = hash_of(watched, Helpers(1))
    late.update(DATA)
    assert not watched.threads
    gate.set()
    assert late.state is watched  # type: ignore[comparison-overlap]
    assert watched.threads[0].startswith("hashing")


def test_a_helper_has_the_next_piece_before_it_is_done_with_the_one_before() -> None:
    begun = []

    class Counting(Helpers):
        def begin(self, work: Callable[[Callable[[], None]], None]) -> bool:
            begun.append(work)
            return super().begin(work)

    gate = threading.Event()
    watched = Watched(gate)
    whole = hash_of(watched, Counting(1))
    whole.update(DATA)
    following = threading.Thread(target=whole.update, args=(DATA,))
    following.start()
    deadline = time.monotonic() + 10
    while len(whole._pieces) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert following.is_alive()  # for the memory of the first one is still being read
    gate.set()
    following.join(10)
    assert whole.state is watched  # type: ignore[comparison-overlap]
    assert len(watched.threads) == 2
    assert len(begun) == 1


def test_what_goes_wrong_in_a_helper_is_raised_by_whatever_follows() -> None:
    gate = threading.Event()

    class Broken(Watched):
        def update(self, data: bytes) -> None:
            gate.wait(10)
            raise ValueError("broken")

    helpers = Helpers(1)
    whole = hash_of(Broken(), helpers)
    whole.update(DATA)
    gate.set()
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            whole.update(DATA)
        with pytest.raises(ValueError, match="broken"):
            assert whole.state
    assert helpers.begin(lambda release: release())


def test_a_small_piece_waits_for_the_large_one_before_it() -> None:
    gate = threading.Event()
    watched = Watched(gate)
    mixed = hash_of(watched, Helpers(1))
    mixed.update(DATA)
    threading.Timer(0.05, gate.set).start()
    mixed.update(b"small")
    assert [name.startswith("hashing") for name in watched.threads] == [True, False]


@pytest.mark.parametrize(("count", "data"), [(0, DATA), (1, DATA[:-1])])
def test_without_a_helper_or_for_little_the_caller_hashes(count: int, data: bytes) -> None:
    watched = Watched()
    hash_of(watched, Helpers(count)).update(data)
    assert watched.threads == [threading.current_thread().name]


def test_nobody_waits_for_a_helper_that_is_busy_and_it_is_free_afterwards() -> None:
    helpers, gate = Helpers(1), threading.Event()
    busy, other = Watched(gate), Watched()
    first = hash_of(busy, helpers)
    first.update(DATA)
    hash_of(other, helpers).update(DATA)
    assert other.threads == [threading.current_thread().name]
    gate.set()
    assert first.state is busy  # type: ignore[comparison-overlap]
    later = hash_of(other, helpers)
    later.update(DATA)
    assert later.state is other  # type: ignore[comparison-overlap]
    assert other.threads[1].startswith("hashing")


@pytest.mark.skipif(os.cpu_count() == 1, reason="a single core has no helpers")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    whole = Hash()
    whole.update(DATA)
    assert whole.state
    child = os.fork()
    if not child:
        signal.alarm(10)
        mine = Hash()
        try:
            mine.update(DATA)
        finally:
            os._exit(mine.state.digest() != hashlib.sha256(DATA).digest())
    assert os.waitpid(child, 0)[1] == 0
