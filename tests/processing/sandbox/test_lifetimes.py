"""Who starts, who dies with whom, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from processing.sandbox import Sandbox, Session, StepStopped, Support, kernel, supervisor
from tests.processing.sandbox.cast import CONTENT, HOSTILE, run
from tests.source import BytesSource

ROOT = Path(__file__).parents[3]
WORKER = f"""
import os, sys, time
from tests.source import BytesSource
from processing.sandbox import Sandbox
with Sandbox(registry="{HOSTILE}") as sandbox, sandbox.open(BytesSource(b""), "a/b") as session:
    keywords = dict(settings={{}}, results={{}}, open_artifact=print)
    output = session.run("describe", **keywords).output
    heir = os.fork()
    if not heir:
        time.sleep(30)
        os._exit(0)
    print(output["pid"], output["parent"], heir, flush=True)
    session.run(sys.argv[1], **keywords)
"""


SPARE = 1  # the child that is ready for the next file


def pid_of(outcome_key: str, session: Session) -> int:
    pid = run(session, "describe").output[outcome_key]
    assert isinstance(pid, int)
    return pid


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("doing", ["spin_deaf", "sleep"])
def test_a_worker_that_is_killed_takes_zygote_and_children_along(doing: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, doing], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        child, zygote, heir = map(int, worker.stdout.readline().split())
        assert is_running(child)
        assert is_running(zygote)
        worker.kill()
        worker.wait()
    assert is_running(heir)  # and with it the worker's ends of the sockets
    assert eventually(lambda: not is_running(zygote))
    assert eventually(lambda: not is_running(child))
    os.kill(heir, signal.SIGKILL)


def test_a_zygote_that_is_killed_is_replaced(sandbox: Sandbox) -> None:
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        first = pid_of("parent", session)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not is_running(first))
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        assert pid_of("parent", session) != first


def test_a_step_whose_zygote_is_killed_fails_and_the_next_works(sandbox: Sandbox) -> None:
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        zygote = pid_of("parent", session)
        killing = threading.Timer(0.1, os.kill, (zygote, signal.SIGKILL))
        killing.start()
        with pytest.raises(StepStopped) as caught:
            run(session, "sleep")
        killing.join()
        assert caught.value.code == "sandbox_lost"
        assert run(session, "noop").output == {}


def test_a_child_that_the_system_kills_ran_out_of_memory(session: Session) -> None:
    child = pid_of("pid", session)
    killing = threading.Timer(0.1, os.kill, (child, signal.SIGKILL))
    killing.start()
    with pytest.raises(StepStopped) as caught:
        run(session, "sleep")
    killing.join()
    assert caught.value.code == "step_out_of_memory"


def test_a_child_that_dies_between_two_steps_is_replaced(session: Session) -> None:
    child = pid_of("pid", session)
    os.kill(child, signal.SIGKILL)
    assert eventually(lambda: not is_running(child))
    assert pid_of("pid", session) != child


def test_fifty_sessions_leave_nothing_behind(sandbox: Sandbox) -> None:
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        zygote = psutil.Process(pid_of("parent", session))
    here = psutil.Process()
    assert eventually(lambda: len(zygote.children()) == SPARE)
    before = here.num_fds(), zygote.num_fds(), len(here.children(recursive=True))
    for number in range(50):
        with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
            if number % 10:
                run(session, "noop")
            else:
                with pytest.raises(StepStopped):
                    run(session, "leave")
    assert eventually(lambda: len(zygote.children()) == SPARE)
    after = here.num_fds(), zygote.num_fds(), len(here.children(recursive=True))
    assert after == before


def test_a_child_ends_with_its_session_though_a_copy_of_its_sockets_is_open(
    session: Session,
) -> None:
    child = pid_of("pid", session)
    assert session._child is not None
    copies = [os.dup(end.fileno()) for end in (session._child._channel, session._child._report)]
    session.__exit__(None, None, None)
    assert eventually(lambda: not is_running(child))
    for copy in copies:
        os.close(copy)


def test_a_session_without_a_step_starts_no_child(sandbox: Sandbox) -> None:
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        zygote = psutil.Process(pid_of("parent", session))
    assert eventually(lambda: len(zygote.children()) == SPARE)
    with sandbox.open(BytesSource(CONTENT), "text/plain"):
        assert len(zygote.children()) == SPARE


def test_threads_can_share_a_sandbox(sandbox: Sandbox) -> None:
    outputs: list[object] = []

    def work() -> None:
        for _ in range(3):
            with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
                outputs.append(run(session, "digest").output["sha256"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 12
    assert len(set(outputs)) == 1


def test_the_end_of_a_sandbox_ends_its_children() -> None:
    with Sandbox(registry=HOSTILE) as sandbox:
        session = sandbox.open(BytesSource(CONTENT), "text/plain")
        child, zygote = pid_of("pid", session), pid_of("parent", session)
    assert not is_running(zygote)
    assert eventually(lambda: not is_running(child))
    with session:
        pass


def test_a_registry_that_cannot_be_imported_stops_the_start() -> None:
    with pytest.raises(StepStopped) as caught, Sandbox(registry="no.such.registry"):
        pass
    assert caught.value.code == "sandbox_unavailable"
    assert "ModuleNotFoundError" in caught.value.__notes__[0]


def test_a_sandbox_that_is_killed_while_it_starts_may_start_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "BOOTSTRAP", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(StepStopped) as caught, Sandbox(registry=HOSTILE):
        pass
    assert caught.value.code == "sandbox_not_started"


@pytest.mark.parametrize(
    "support",
    [
        Support(landlock=0, seccomp=True, limits=True),
        Support(landlock=7, seccomp=False, limits=True),
        Support(landlock=7, seccomp=True, limits=False),
    ],
)
def test_steps_do_not_run_where_the_kernel_offers_too_little(
    monkeypatch: pytest.MonkeyPatch, support: Support
) -> None:
    monkeypatch.setattr(kernel, "support", lambda: support)
    assert not Sandbox.support().complete
    with (
        Sandbox(registry=HOSTILE) as sandbox,
        sandbox.open(BytesSource(CONTENT), "text/plain") as session,
        pytest.raises(StepStopped) as caught,
    ):
        run(session, "noop")
    assert caught.value.code == "sandbox_unavailable"


def test_steps_run_with_limits_only_where_the_operator_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    support = Support(landlock=0, seccomp=False, limits=True)
    monkeypatch.setattr(kernel, "support", lambda: support)
    with (
        Sandbox(allow_unsandboxed=True, registry=HOSTILE) as sandbox,
        sandbox.open(BytesSource(CONTENT), "text/plain") as session,
    ):
        assert run(session, "attempt", settings={"what": "read_passwd"}).output == {"errno": None}
        with pytest.raises(StepStopped) as caught:
            run(session, "allocate")
        assert caught.value.code == "step_out_of_memory"


@pytest.mark.parametrize(
    "sabotage",
    [
        "from processing.sandbox import landlock as l; l.restrict_self = l.Path\n",
        "from processing.sandbox import lockdown as l; l._install = open\n",
        "from processing.sandbox import lockdown as l; l.limit_resources = None\n",
    ],
)
def test_a_child_that_cannot_be_locked_in_gets_no_content(
    monkeypatch: pytest.MonkeyPatch, sabotage: str
) -> None:
    bootstrap = supervisor.BOOTSTRAP.replace("from ", sabotage + "from ", 1)
    monkeypatch.setattr(supervisor, "BOOTSTRAP", bootstrap)
    with (
        Sandbox(registry=HOSTILE) as sandbox,
        sandbox.open(BytesSource(CONTENT), "text/plain") as session,
        pytest.raises(StepStopped) as caught,
    ):
        run(session, "noop")
    assert caught.value.code == "sandbox_not_started"
