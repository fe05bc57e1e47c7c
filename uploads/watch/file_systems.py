"""On which file system a folder lies, and whether the kernel hears of all changes there. Pure."""

import ctypes
import os

# What lies below a mounted overlay is nobody's to write to (Linux,
# Documentation/filesystems/overlayfs.rst).
OVERLAY = "overlay"
# Numbers of file systems whose changes may be made elsewhere: on another machine, by another
# kernel, or below the layer that is looked at. The kernel tells nothing of those.
# Source: Linux, include/uapi/linux/magic.h, and statfs(2); GFS2 and the last four from their own
# drivers.
SILENT = {
    0x00006969: "nfs",
    0x0000517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x794C7630: OVERLAY,
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x00C36400: "ceph",
    0x73757245: "coda",
    0x0000564C: "ncp",
    0x01161970: "gfs2",
    0x7461636F: "ocfs2",
    0x0BD00BD0: "lustre",
    0x19830326: "beegfs",
    0x47504653: "gpfs",
    0x786F4256: "vboxsf",
}
_MOST_BYTES = 512  # a struct statfs has about 120
_libc = ctypes.CDLL(None, use_errno=True)


def silent_file_system(descriptor: int) -> str:
    """Return the name of the file system of an open folder, if it is a silent one; else nothing.

    Raises:
        OSError
    """
    number = file_system_number(descriptor)
    return SILENT.get(number, "")


def has_writers_elsewhere(descriptor: int) -> bool:
    """Tell whether an open file may be written where this kernel does not see it.

    Raises:
        OSError
    """
    return silent_file_system(descriptor) not in ("", OVERLAY)


def file_system_number(descriptor: int) -> int:
    """Return `f_type` of the file system that holds an open file, as 32 bits.

    It is the first word of the structure (statfs(2); s390 differs, and is not told apart here).

    Raises:
        OSError
    """
    buffer = ctypes.create_string_buffer(_MOST_BYTES)
    if _libc.fstatfs(descriptor, buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF
