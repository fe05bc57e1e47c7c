"""Give up every right that a parser of content does not need, for ever."""

import ctypes
import itertools
import os
import resource
import signal
import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from processing.sandbox import kernel, landlock, seccomp

# Source: linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

OPEN_FILES = 32
# Shared libraries, their data, and time zones; where distributions keep them.
SYSTEM_FOLDERS = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/tesseract-ocr",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
)


def readable_folders(packages: Iterable[Path]) -> list[Path]:
    """Return what a child may read: Python, libraries, and the code in `packages`."""
    paths = sysconfig.get_paths()
    python = (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return [Path(name) for name in (*SYSTEM_FOLDERS, *python)] + list(packages)


def close_all_but(*descriptors: int | None) -> None:
    """Close what was inherited, except the standard streams and `descriptors`."""
    kept = sorted(descriptor for descriptor in descriptors if descriptor is not None)
    end = os.sysconf("SC_OPEN_MAX")
    for low, high in itertools.pairwise([2, *kept, end]):
        os.closerange(low + 1, high)


def limit_resources() -> None:
    """Set what is the same for every step. Memory and CPU time are set by the worker.

    The number of processes is not limited: that limit counts all of the user's, and does not
    bind root.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def die_with(parent: int) -> None:
    """Have this process killed when its parent, the process `parent`, ends."""
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def confine(ruleset: int) -> None:
    """Leave nothing but reading `ruleset`'s folders, computing, and the open channel.

    Raises:
        OSError: the kernel refused; the process must not see content.
    """
    kernel.prctl(PR_SET_DUMPABLE, 0)
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict_self(ruleset)
    os.close(ruleset)
    _install(seccomp.compile_filter(pid=os.getpid()))


def _install(program: bytes) -> None:
    instructions = ctypes.create_string_buffer(program, len(program))
    size = struct.calcsize("=HBBI")
    header = struct.pack("@HP", len(program) // size, ctypes.addressof(instructions))
    kernel.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header)
