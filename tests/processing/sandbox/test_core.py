"""A worker and its child are on one processor as long as they take turns at small things."""

import fcntl
import os
from collections.abc import Callable, Iterator

import pytest

from processing.sandbox import Sandbox, Session, Sitting, core
from processing.sandbox import session as sessions
from processing.sandbox.core import Core
from tests.processing.sandbox.cast import CONTENT, HOSTILE, run
from tests.processing.sandbox.test_sittings import OWNER
from tests.source import BytesSource

ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="there is no second processor to choose")


@pytest.fixture(autouse=True)
def roaming() -> Iterator[None]:
    """Nobody is kept afterwards."""
    yield
    assert os.sched_getaffinity(0) == ALL


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is a small one, however busy the machine is."""
    monkeypatch.setattr(sessions, "SMALL_S", 60.0)


@pytest.fixture
def sitting(sandbox: Sandbox) -> Iterator[Sitting]:
    sitting = sandbox.sitting(files_per_child=3)
    yield sitting
    sitting.close()


@pytest.fixture
def session(sitting: Sitting) -> Iterator[Session]:
    with sitting.open(BytesSource(CONTENT), "text/plain", owner=OWNER) as session:
        yield session


def processors_of(session: Session) -> set[int]:
    assert session._child is not None
    return os.sched_getaffinity(session._child.pid)


def elsewhere(act: Callable[[], int]) -> int:
    """Return what `act` returns in a forked process, a number below 100."""
    pid = os.fork()
    if not pid:
        status = 100
        try:
            status = act()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.usefixtures("patient")
def test_small_steps_are_where_the_worker_is_and_both_roam_afterwards(
    sitting: Sitting, session: Session
) -> None:
    run(session, "describe")
    assert len(os.sched_getaffinity(0)) == 1
    assert processors_of(session) == os.sched_getaffinity(0)
    sitting.close()
    assert processors_of(session) == ALL


@pytest.mark.parametrize("long", ["doze", "chat"])
def test_a_step_that_takes_long_may_run_anywhere_whether_it_talks_or_not(
    session: Session, monkeypatch: pytest.MonkeyPatch, long: str
) -> None:
    run(session, "describe")
    assert run(session, long).output["processors"] == sorted(ALL)
    assert os.sched_getaffinity(0) == ALL
    monkeypatch.setattr(sessions, "SMALL_S", 60.0)
    run(session, "describe")
    assert len(processors_of(session)) == 1


@pytest.mark.usefixtures("patient")
def test_where_a_parser_is_at_work_nobody_is_kept(session: Session) -> None:
    run(session, "describe")
    run(session, "noop")
    run(session, "describe")
    assert processors_of(session) == os.sched_getaffinity(0) == ALL


def test_each_worker_has_a_processor_of_its_own_while_there_are_any() -> None:
    def kept() -> set[int]:
        Core().share_with(os.getpid())
        return os.sched_getaffinity(0)

    def one_more(before: set[int]) -> int:
        os.sched_setaffinity(0, ALL)  # it was forked by one that is kept
        mine = kept()
        if not ALL - before:
            return int(mine != ALL)
        if len(mine) != 1 or mine & before:
            return 1
        return elsewhere(lambda: one_more(before | mine))

    for _ in range(2):  # those who have ended keep none
        assert elsewhere(lambda: one_more(set())) == 0


@pytest.mark.parametrize("when", ["taking", "leaving"])
def test_where_the_kernel_refuses_both_run_where_they_like(
    monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    mine = Core()
    with monkeypatch.context() as refusing:
        if when == "taking":
            refusing.setattr(os, "sched_setaffinity", refuse)
        mine.share_with(os.getpid())
        refusing.setattr(os, "sched_setaffinity", refuse)
        mine.leave()
        mine.leave()
    os.sched_setaffinity(0, ALL)
    for number in ALL:  # no lock has stayed behind
        assert elsewhere(lambda at=number: _can_lock(at)) == 0  # type: ignore[misc]


def _can_lock(number: int) -> int:
    fcntl.lockf(core._KEPT, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    return 0


@pytest.mark.usefixtures("patient")
def test_a_zygote_that_starts_meanwhile_may_run_anywhere() -> None:
    with Sandbox(registry=HOSTILE) as sandbox:
        sitting = sandbox.sitting(files_per_child=3)
        with sitting.open(BytesSource(CONTENT), "text/plain", owner=OWNER) as session:
            run(session, "describe")
            assert len(os.sched_getaffinity(0)) == 1
            sandbox._discard(sandbox._living_zygote())
            assert os.sched_getaffinity(sandbox._living_zygote()._process.pid) == ALL
        sitting.close()
