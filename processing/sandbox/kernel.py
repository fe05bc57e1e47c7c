"""The kernel's calls that Python does not wrap: numbers, `prctl`, and what is on offer. Pure."""

import ctypes
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass

# Source: asm/unistd_64.h and asm-generic/unistd.h of Linux; the same on both architectures.
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
SECCOMP = {"x86_64": 317, "aarch64": 277}

# Source: linux/landlock.h, linux/seccomp.h.
LANDLOCK_CREATE_RULESET_VERSION = 1
SECCOMP_GET_ACTION_AVAIL = 2
SECCOMP_RET_ERRNO = 0x0005_0000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call and return its result.

    Raises:
        OSError: the call failed.
    """
    words = [
        ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_long(argument or 0)
        for argument in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, argument: int = 0, pointer: bytes | None = None) -> None:
    """Change a trait of this process.

    Raises:
        OSError: the kernel refused.
    """
    third = ctypes.c_char_p(pointer) if pointer else ctypes.c_ulong(0)
    zero = ctypes.c_ulong(0)
    if _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), third, zero, zero):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True)
class Support:
    """What this kernel offers for locking a child in.

    `landlock` is the version of its interface, 0 where there is none.
    """

    landlock: int
    seccomp: bool
    limits: bool

    @property
    def complete(self) -> bool:
        """Return whether steps can run as documented."""
        return self.landlock > 0 and self.seccomp and self.limits


def support() -> Support:
    """Ask the kernel, without changing anything."""
    if not sys.platform.startswith("linux"):
        return Support(landlock=0, seccomp=False, limits=False)
    return Support(landlock=_landlock_version(), seccomp=_has_seccomp(), limits=_has_limits())


def _landlock_version() -> int:
    try:
        return syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    except OSError:
        return 0


def _has_seccomp() -> bool:
    number = SECCOMP.get(platform.machine())
    if number is None:
        return False
    try:
        syscall(number, SECCOMP_GET_ACTION_AVAIL, 0, struct.pack("=I", SECCOMP_RET_ERRNO))
    except OSError:
        return False
    return True


def _has_limits() -> bool:
    """Tell whether one process can set the limits of another, which workers do before each step."""
    try:
        resource.prlimit(0, resource.RLIMIT_AS)
    except OSError:
        return False
    return True
