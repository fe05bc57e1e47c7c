"""Which files may go through one child, and which never."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID, uuid4

import pytest

from processing.sandbox import Sandbox, Session, Sitting, StepStopped
from tests.processing.sandbox.cast import CONTENT, run
from tests.source import BytesSource

OWNER, STRANGER = uuid4(), uuid4()


@pytest.fixture
def sitting(sandbox: Sandbox) -> Iterator[Sitting]:
    sitting = sandbox.sitting(files_per_child=3)
    yield sitting
    sitting.close()


def session_of(sitting: Sitting, *, owner: UUID = OWNER, media_type: str = "text/plain") -> Session:
    return sitting.open(BytesSource(CONTENT), media_type, owner=owner)


def pid_for(
    sitting: Sitting, *also: str, owner: UUID = OWNER, media_type: str = "text/plain"
) -> int:
    """Return the pid of the child of one file, which runs the steps `also` as well."""
    with session_of(sitting, owner=owner, media_type=media_type) as session:
        pid = run(session, "describe").output["pid"]
        for name in also:
            run(session, name)
    assert isinstance(pid, int)
    return pid


def until_there_is_something_to_read(sitting: Sitting) -> None:
    """Wait until the child that waits for the next file has spoken or ended."""
    assert sitting._kept is not None
    assert sitting._kept._readable.poll(20_000)


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_plain_files_of_one_owner_share_a_child_until_it_has_served_enough(
    sitting: Sitting,
) -> None:
    first, second, third, fourth = (pid_for(sitting) for _ in range(4))
    assert first == second == third
    assert fourth != first


def test_files_of_two_owners_never_share_a_child(sitting: Sitting) -> None:
    first = pid_for(sitting)
    assert pid_for(sitting, owner=STRANGER) != first
    assert pid_for(sitting) != first


def test_a_child_in_which_a_parser_has_run_serves_no_other_file(sitting: Sitting) -> None:
    first = pid_for(sitting, "noop")
    assert pid_for(sitting) != first


def test_the_type_of_the_file_decides_whether_a_step_shares_its_child(sitting: Sitting) -> None:
    first = pid_for(sitting, media_type="application/pdf")
    assert pid_for(sitting) != first


def test_a_step_that_fails_takes_its_child_along(sitting: Sitting) -> None:
    with session_of(sitting) as session:
        first = run(session, "describe").output["pid"]
        with pytest.raises(StepStopped):
            run(session, "fail")
    assert pid_for(sitting) != first


def test_an_error_of_the_worker_takes_the_child_along(sitting: Sitting) -> None:
    with pytest.raises(ZeroDivisionError), session_of(sitting) as session:
        first = run(session, "describe").output["pid"]
        raise ZeroDivisionError
    assert pid_for(sitting) != first


def test_a_file_that_has_cost_a_child_leaves_none_to_the_next(sitting: Sitting) -> None:
    with session_of(sitting) as session:
        with pytest.raises(StepStopped):
            run(session, "leave")
        second = run(session, "describe").output["pid"]
    assert pid_for(sitting) != second


def test_a_child_that_speaks_unasked_serves_no_other_file(sitting: Sitting) -> None:
    first = pid_for(sitting, "speak_up_later")
    until_there_is_something_to_read(sitting)
    assert pid_for(sitting) != first


def test_a_child_that_ended_while_it_waited_is_replaced(sitting: Sitting) -> None:
    first = pid_for(sitting)
    os.kill(first, signal.SIGKILL)
    until_there_is_something_to_read(sitting)
    assert pid_for(sitting) != first


def test_a_child_that_has_grown_serves_no_other_file(sitting: Sitting) -> None:
    first = pid_for(sitting, "grow")
    assert pid_for(sitting) != first


def test_the_end_of_a_sitting_ends_its_child(sandbox: Sandbox) -> None:
    sitting = sandbox.sitting(files_per_child=3)
    pid = pid_for(sitting)
    assert is_running(pid)
    sitting.close()
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


def test_one_file_for_each_child_where_the_operator_wants_it(sandbox: Sandbox) -> None:
    sitting = sandbox.sitting(files_per_child=1)
    assert pid_for(sitting) != pid_for(sitting)
    assert sandbox.sitting()._files_per_child == 1


def test_files_that_are_opened_one_by_one_share_nothing(sandbox: Sandbox) -> None:
    pids = []
    for _ in range(2):
        with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
            pids.append(run(session, "describe").output["pid"])
    assert pids[0] != pids[1]
