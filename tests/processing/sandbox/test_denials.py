"""What a locked-in child tries in vain, and that it is the lock which stops it."""

import errno

import pytest

from processing.sandbox import Sandbox, Session, supervisor
from tests.processing.sandbox.cast import CONTENT, HOSTILE, run
from tests.processing.sandbox.hostile import ATTEMPTS
from tests.source import BytesSource

WITHOUT = {
    "seccomp": "from processing.sandbox import lockdown; lockdown._install = id\n",
    "landlock": "from processing.sandbox import landlock; landlock.restrict_self = id\n",
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_the_kernel_refuses(session: Session, what: str) -> None:
    expected, _ = ATTEMPTS[what]
    answer = run(session, "attempt", settings={"what": what}).output["errno"]
    assert isinstance(answer, int), f"{what} succeeded"
    assert errno.errorcode[answer] == errno.errorcode[expected]


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        ("seccomp", "fork"),
        ("seccomp", "memfd"),
        ("seccomp", "socket_inet"),
        ("seccomp", "pidfd_open"),
        ("seccomp", "signal_by_fcntl"),
        ("seccomp", "become_dumpable"),
        ("seccomp", "raise_memory_limit"),
        ("seccomp", "survive_the_zygote"),
        ("landlock", "read_passwd"),
        ("landlock", "read_project"),
        ("landlock", "list_root"),
        ("landlock", "list_descriptors"),
    ],
)
def test_an_attempt_succeeds_without_the_layer_that_stops_it(
    monkeypatch: pytest.MonkeyPatch, layer: str, what: str
) -> None:
    bootstrap = supervisor.BOOTSTRAP.replace("from ", WITHOUT[layer] + "from ", 1)
    monkeypatch.setattr(supervisor, "BOOTSTRAP", bootstrap)
    with (
        Sandbox(registry=HOSTILE) as weak,
        weak.open(BytesSource(CONTENT), "text/plain") as session,
    ):
        assert run(session, "attempt", settings={"what": what}).output == {"errno": None}


def test_a_child_has_no_environment_and_no_descriptors(session: Session) -> None:
    described = run(session, "describe").output
    assert described["environ"] in ({}, {"LC_CTYPE": "C.UTF-8"})  # which Python itself sets
    assert described["descriptors"] == [0, 1, 2]


def test_a_child_cannot_write_files_nor_dump_core_nor_open_many(session: Session) -> None:
    limits = run(session, "limits").output
    assert limits == {"FSIZE": [0, 0], "CORE": [0, 0], "NOFILE": [32, 32]}
