"""Which folders a child may read, by Landlock. Everything else of the file system is denied.

Source: linux/landlock.h and Documentation/userspace-api/landlock.rst of Linux.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from processing.sandbox import kernel

RULE_PATH_BENEATH = 1

READ = 1 << 2 | 1 << 3  # READ_FILE, READ_DIR
# Every right on files that a version of the interface knows, as a mask of its lowest bits.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version: number of rights
NET_RIGHTS = 1 << 0 | 1 << 1  # BIND_TCP, CONNECT_TCP; since version 4
SCOPES = 1 << 0 | 1 << 1  # ABSTRACT_UNIX_SOCKET, SIGNAL; since version 6


def create_ruleset(folders: Iterable[Path], *, version: int) -> int:
    """Return the file descriptor of a ruleset that lets `folders` be read and nothing else.

    Folders that do not exist are left out. A ruleset can be applied by any number of processes.
    """
    handled = (1 << FILE_RIGHTS[min(version, max(FILE_RIGHTS))]) - 1
    attributes = struct.pack("=Q", handled)
    if version >= 4:
        attributes += struct.pack("=Q", NET_RIGHTS)
    if version >= 6:
        attributes += struct.pack("=Q", SCOPES)
    ruleset = kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    for folder in folders:
        if folder.is_dir():
            _allow_reading(folder, ruleset)
    return ruleset


def _allow_reading(folder: Path, ruleset: int) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", READ, descriptor)
        kernel.syscall(kernel.LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def restrict_self(ruleset: int) -> None:
    """Apply `ruleset` to this thread and all that it starts, for ever. Needs no_new_privs."""
    kernel.syscall(kernel.LANDLOCK_RESTRICT_SELF, ruleset, 0)
