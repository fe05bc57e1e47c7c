"""The filter's program, interpreted for both architectures whatever this machine is."""

import errno
import platform
import re
import struct
from pathlib import Path

import pytest

from processing.sandbox import kernel, seccomp

PID = 4711
PERMITTED = seccomp.ALLOW
EPERM = seccomp.ERRNO | errno.EPERM
ENOSYS = seccomp.ERRNO | errno.ENOSYS
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def decide(program: bytes, number: int, *words: int, architecture: int) -> int:
    """Run `program` as the kernel does, over `struct seccomp_data`."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *words, *[0] * (6 - len(words)))
    instructions = list(struct.iter_unpack("=HBBI", program))
    position = accumulator = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        if code == seccomp.RETURN:
            return int(operand)
        if code == seccomp.LOAD_WORD:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif code == seccomp.AND:
            accumulator &= operand
        else:
            assert code == seccomp.JUMP_IF_EQUAL
            position += if_true if accumulator == operand else if_false


# Numbers are (x86-64, aarch64).
@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize(
    ("numbers", "words", "verdict"),
    [
        ((0, 63), (), PERMITTED),  # read
        ((9, 222), (), PERMITTED),  # mmap
        ((59, 221), (), EPERM),  # execve
        ((41, 198), (), EPERM),  # socket
        ((62, 129), (PID, 9), EPERM),  # kill
        ((435, 435), (), ENOSYS),  # clone3
        ((56, 220), (0x3D0F00,), PERMITTED),  # clone, as threads are started
        ((56, 220), (17,), EPERM),  # clone, as fork does
        ((56, 220), (0x3D0F00 | 0x10000000,), EPERM),  # a thread in a namespace of its own
        ((234, 131), (PID, PID, 6), PERMITTED),  # tgkill
        ((234, 131), (PID + 1, PID, 6), EPERM),
        ((72, 25), (5, 1030), PERMITTED),  # fcntl F_DUPFD_CLOEXEC
        ((72, 25), (5, 8), EPERM),  # F_SETOWN
        ((72, 25), (5, 10), EPERM),  # F_SETSIG
        ((157, 167), (15,), PERMITTED),  # prctl PR_SET_NAME
        ((157, 167), (4,), EPERM),  # PR_SET_DUMPABLE
        ((302, 261), (0, 3, 0, 1), PERMITTED),  # prlimit64, asking
        ((302, 261), (1, 3, 0, 1), EPERM),  # about another
        ((302, 261), (0, 3, 1, 0), EPERM),  # setting
        ((302, 261), (0, 3, 1 << 32, 0), EPERM),  # with a pointer whose lower half is zero
        ((0x4000_0000, 0x4000_0000), (), EPERM),
        ((2**32 - 1, 2**32 - 1), (), EPERM),
    ],
)
def test_the_filter_decides(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    numbers: tuple[int, int],
    words: tuple[int, ...],
    verdict: int,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = seccomp.compile_filter(pid=PID)
    number = numbers[seccomp.MACHINES.index(machine)]
    architecture = seccomp.AUDIT_ARCH[machine]
    assert decide(program, number, *words, architecture=architecture) == verdict


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_a_call_of_another_architecture_is_killed(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = seccomp.compile_filter(pid=PID)
    i386 = 0x4000_0003
    assert decide(program, 0, architecture=i386) == seccomp.KILL_PROCESS


def test_an_architecture_without_numbers_has_no_seccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not kernel.support().complete


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    pattern = r"^#define __NR(?:3264)?_(\w+) (\d+)$"
    found = re.findall(pattern, header.read_text(), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    known.setdefault("newfstatat", known["fstatat" if machine == "aarch64" else "fstat"])
    column = seccomp.MACHINES.index(machine)
    checked = {
        "clone3": seccomp.CLONE3,
        "clone": seccomp.CLONE,
        "fcntl": seccomp.FCNTL,
        "tgkill": seccomp.TGKILL,
        "prctl": seccomp.PRCTL,
        "prlimit64": seccomp.PRLIMIT64,
        "seccomp": tuple(kernel.SECCOMP[name] for name in seccomp.MACHINES),
    }
    for name, numbers in {**seccomp.ALLOWED, **checked}.items():
        assert numbers[column] in {known.get(name), None}, name
