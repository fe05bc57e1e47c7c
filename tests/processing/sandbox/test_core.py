"""A worker and its child are on one processor as long as they take turns at small things."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processing.sandbox import Sandbox, Session, Sitting
from processing.sandbox.core import Core
from tests.processing.sandbox.cast import CONTENT, HOSTILE, run
from tests.processing.sandbox.test_sittings import OWNER
from tests.source import BytesSource

ALL = os.sched_getaffinity(0)

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="there is one processor only")


@pytest.fixture
def sitting(sandbox: Sandbox) -> Iterator[Sitting]:
    sitting = sandbox.sitting(files_per_child=3)
    yield sitting
    sitting.close()
    assert os.sched_getaffinity(0) == ALL


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


def test_small_steps_are_where_the_worker_is_and_both_roam_afterwards(
    sitting: Sitting, session: Session
) -> None:
    run(session, "describe")
    assert len(os.sched_getaffinity(0)) == 1
    assert processors_of(session) == os.sched_getaffinity(0)
    sitting.close()
    assert processors_of(session) == ALL


def test_a_step_that_takes_long_may_run_anywhere(session: Session) -> None:
    run(session, "describe")
    assert run(session, "doze").output["processors"] == sorted(ALL)
    assert os.sched_getaffinity(0) == ALL
    run(session, "describe")  # a small one again
    assert len(processors_of(session)) == 1


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
        mine = kept()
        if not ALL - before:
            return int(mine != ALL)
        if len(mine) != 1 or mine & before:
            return 1
        return elsewhere(lambda: one_more(before | mine) if reset() else 1)

    def reset() -> bool:
        os.sched_setaffinity(0, ALL)  # forked from one that is kept
        return True

    assert elsewhere(lambda: one_more(set())) == 0
    assert elsewhere(lambda: one_more(set())) == 0  # those who have ended keep none


def test_a_sandbox_that_starts_meanwhile_may_run_anywhere() -> None:
    core = Core()
    core.share_with(os.getpid())
    try:
        with Sandbox(registry=HOSTILE) as sandbox:
            zygote = sandbox._living_zygote()._process.pid
            assert os.sched_getaffinity(zygote) == ALL
            assert "Cpus_allowed" in Path(f"/proc/{zygote}/status").read_text()
    finally:
        core.leave()
    assert os.sched_getaffinity(0) == ALL
