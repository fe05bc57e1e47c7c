"""Keeps keys out of what the kernel writes about a process. Pure."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # Linux, include/uapi/linux/prctl.h


def forbid_dumps() -> None:
    """No core dump of this process, nor of its children; no other user's debugger either.

    On Linux, memory and environment of the process then belong to the administrator alone.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
