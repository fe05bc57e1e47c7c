"""Which system calls a child may make: a list of the allowed ones, compiled to a BPF program.

Source: linux/seccomp.h, linux/bpf_common.h, linux/audit.h of Linux; the numbers are those of
asm/unistd_64.h (x86-64) and asm-generic/unistd.h (aarch64).
"""

import errno
import functools
import platform
import struct
from dataclasses import dataclass
from typing import NamedTuple

AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
MACHINES = tuple(AUDIT_ARCH)  # the order of the columns below

# (x86-64, aarch64); None where an architecture has no such call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # memory
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    # reading: Landlock says which files
    "open": (2, None),
    "openat": (257, 56),
    "close": (3, 57),
    "close_range": (436, 436),
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "fstatfs": (138, 44),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "fadvise64": (221, 223),
    # writing: nothing but the channel can be open for it
    "write": (1, 64),
    "writev": (20, 66),
    # waiting, and talking between threads
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "pipe2": (293, 59),
    "eventfd2": (290, 19),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    # threads
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "gettid": (186, 178),
    "getcpu": (309, 168),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # signals to oneself
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # time
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    # what one is
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getrandom": (318, 278),
}

CLONE3 = (435, 435)
CLONE = (56, 220)
FCNTL = (72, 25)
TGKILL = (234, 131)
PRCTL = (157, 167)
PRLIMIT64 = (302, 261)

CLONE_THREAD = 0x0001_0000
# NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. Source: linux/sched.h.
CLONE_NEW_NAMESPACES = 0x7E02_0000

# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. F_SETOWN with F_SETSIG would send
# any signal to any process of the same user. Source: linux/fcntl.h.
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
PRCTL_OPTIONS = (15, 0x5356_4D41)  # PR_SET_NAME, PR_SET_VMA: names of threads and of memory

LOAD_WORD, JUMP_IF_EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06
KILL_PROCESS, ALLOW, ERRNO = 0x8000_0000, 0x7FFF_0000, 0x0005_0000
ALL_BITS = 0xFFFF_FFFF
# struct seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits.
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16


class Instruction(NamedTuple):
    """One `struct sock_filter`."""

    code: int
    if_true: int
    if_false: int
    operand: int


@dataclass(frozen=True)
class Check:
    """32 bits of an argument that must, under `mask`, be one of `values`."""

    argument: int
    values: tuple[int, ...]
    mask: int = ALL_BITS
    high: bool = False  # the upper half; both architectures are little-endian


CHECKED = {
    CLONE: (Check(0, (CLONE_THREAD,), mask=CLONE_THREAD | CLONE_NEW_NAMESPACES),),
    FCNTL: (Check(1, FCNTL_COMMANDS),),
    PRCTL: (Check(0, PRCTL_OPTIONS),),
    # Asking only, and about oneself only.
    PRLIMIT64: (Check(0, (0,)), Check(2, (0,)), Check(2, (0,), high=True)),
}


def compile_filter(*, pid: int) -> bytes:
    """Return the program for the process `pid` on this machine."""
    machine = platform.machine()
    number = TGKILL[MACHINES.index(machine)]
    to_oneself = _rule(number, _body((Check(0, (pid,)),)))  # abort() is such a signal
    start, rules = _same_for_all(machine)
    return start + _pack(to_oneself) + rules


@functools.cache
def _same_for_all(machine: str) -> tuple[bytes, bytes]:
    column = MACHINES.index(machine)
    start = [
        Instruction(LOAD_WORD, 0, 0, ARCHITECTURE),
        Instruction(JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        Instruction(RETURN, 0, 0, KILL_PROCESS),
        Instruction(LOAD_WORD, 0, 0, NUMBER),
    ]
    rules: list[Instruction] = []
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            rules += _rule(number, [Instruction(RETURN, 0, 0, ALLOW)])
    for checked, checks in CHECKED.items():
        rules += _rule(checked[column], _body(checks))
    # The C library then falls back to clone, whose flags can be looked at.
    rules += _rule(CLONE3[column], [_deny(errno.ENOSYS)])
    rules.append(_deny(errno.EPERM))
    return _pack(start), _pack(rules)


def _rule(number: int, body: list[Instruction]) -> list[Instruction]:
    return [Instruction(JUMP_IF_EQUAL, 0, len(body), number), *body]


def _pack(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _body(checks: tuple[Check, ...]) -> list[Instruction]:
    body: list[Instruction] = []
    for check in checks:
        word = ARGUMENTS + 8 * check.argument + (4 if check.high else 0)
        body.append(Instruction(LOAD_WORD, 0, 0, word))
        if check.mask != ALL_BITS:
            body.append(Instruction(AND, 0, 0, check.mask))
        for index, value in enumerate(check.values):
            past_the_denial = len(check.values) - index
            body.append(Instruction(JUMP_IF_EQUAL, past_the_denial, 0, value))
        body.append(_deny(errno.EPERM))
    body.append(Instruction(RETURN, 0, 0, ALLOW))
    return body


def _deny(number: int) -> Instruction:
    return Instruction(RETURN, 0, 0, ERRNO | number)
