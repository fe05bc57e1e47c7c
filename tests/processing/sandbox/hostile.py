"""Steps that try what content must never achieve. A registry for the sandbox's tests."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH208, PTH211
# An attempt is the system call itself, with nothing around it.

import contextlib
import ctypes
import errno
import hashlib
import io
import mmap
import os
import resource
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image

from processing.sandbox import protocol
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed

LIMITS = Limits(wall_s=10, cpu_s=5, memory_bytes=192 * MIB, artifact_bytes=4 * MIB)
QUICK = replace(LIMITS, wall_s=0.5, cpu_s=1)
ROOT = Path(__file__).parents[3]
NOWHERE = "/tmp/strongroom-hostile"  # never exists: an attempt that gets through harms nothing
X86 = os.uname().machine == "x86_64"

_libc = ctypes.CDLL(None, use_errno=True)


def call(x86: int, aarch64: int, *words: int) -> int:
    """Make a raw system call, past every check of Python's and the C library's."""
    number = x86 if X86 else aarch64
    return check(_libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, words)))


def check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def channel() -> int:
    """Return the descriptor of the socket to the worker, as an attacker would find it."""
    return next(number for number in open_descriptors() if stat.S_ISSOCK(os.fstat(number).st_mode))


def open_descriptors() -> list[int]:
    found = []
    for number in range(1024):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def system() -> None:
    if os.system("true"):
        raise PermissionError(errno.EPERM, "")


def send_descriptor() -> None:
    with socket.socket(fileno=os.dup(channel())) as connection:
        socket.send_fds(connection, [protocol.READ], [0])


def raise_memory_limit() -> None:
    unlimited = ctypes.create_string_buffer(b"\xff" * 16, 16)  # soft and hard
    call(302, 261, 0, resource.RLIMIT_AS, ctypes.addressof(unlimited), 0)


def zygote() -> int:
    return os.getppid()


# What is tried, and the errno with which the kernel must answer.
ATTEMPTS: dict[str, tuple[int, Callable[[], object]]] = {
    "fork": (errno.EPERM, fork),
    "spawn": (errno.EPERM, lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "subprocess": (errno.EPERM, lambda: subprocess.run(["/bin/true"], check=True)),
    "system": (errno.EPERM, system),
    "exec": (errno.EPERM, lambda: os.execv("/bin/true", ["true"])),
    "clone3": (errno.ENOSYS, lambda: call(435, 435, 0, 0)),
    "clone_with_a_namespace": (errno.EPERM, lambda: call(56, 220, 0x1001_0000, 0, 0, 0, 0)),
    "unshare": (errno.EPERM, lambda: check(_libc.unshare(0x1000_0000))),
    "socket_inet": (errno.EPERM, lambda: socket.socket(socket.AF_INET)),
    "socket_unix": (errno.EPERM, lambda: socket.socket(socket.AF_UNIX)),
    "socket_netlink": (errno.EPERM, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "socketpair": (errno.EPERM, socket.socketpair),
    "connect": (errno.EPERM, lambda: check(_libc.connect(channel(), b"\x01\0\0x", 4))),
    "send_descriptor": (errno.EPERM, send_descriptor),
    "kill_zygote": (errno.EPERM, lambda: os.kill(zygote(), signal.SIGKILL)),
    "signal_everybody": (errno.EPERM, lambda: os.kill(-1, 0)),
    "tgkill_zygote": (errno.EPERM, lambda: check(_libc.tgkill(zygote(), zygote(), 9))),
    "pidfd_open": (errno.EPERM, lambda: os.pidfd_open(zygote())),
    "signal_by_fcntl": (errno.EPERM, lambda: call(72, 25, os.pipe()[0], 8, zygote())),
    "ptrace": (errno.EPERM, lambda: check(_libc.ptrace(16, zygote(), None, None))),
    "process_vm_readv": (errno.EPERM, lambda: call(310, 270, zygote(), 0, 0, 0, 0, 0)),
    "limits_of_zygote": (
        errno.EPERM,
        lambda: resource.prlimit(zygote(), resource.RLIMIT_CORE, (0, 0)),
    ),
    "raise_memory_limit": (errno.EPERM, raise_memory_limit),
    "become_dumpable": (errno.EPERM, lambda: check(_libc.prctl(4, 1, 0, 0, 0))),
    "survive_the_zygote": (errno.EPERM, lambda: check(_libc.prctl(1, 0, 0, 0, 0))),
    "read_passwd": (errno.EACCES, lambda: os.open("/etc/passwd", os.O_RDONLY)),
    "read_project": (errno.EACCES, lambda: os.open(ROOT / "pyproject.toml", os.O_RDONLY)),
    "read_environ": (errno.EACCES, lambda: os.open(f"/proc/{zygote()}/environ", os.O_RDONLY)),
    "read_memory": (errno.EACCES, lambda: os.open(f"/proc/{zygote()}/mem", os.O_RDONLY)),
    "read_own_memory": (errno.EACCES, lambda: os.open("/proc/self/mem", os.O_RDONLY)),
    "read_device": (errno.EACCES, lambda: os.open("/dev/zero", os.O_RDONLY)),
    "list_root": (errno.EACCES, lambda: os.listdir("/")),
    "list_project": (errno.EACCES, lambda: os.listdir(ROOT)),
    "list_descriptors": (errno.EACCES, lambda: os.listdir("/proc/self/fd")),
    "list_processes": (errno.EACCES, lambda: os.listdir("/proc")),
    "write": (errno.EACCES, lambda: os.open(NOWHERE, os.O_CREAT | os.O_WRONLY)),
    "write_unnamed": (errno.EACCES, lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR)),
    "write_shared_memory": (
        errno.EACCES,
        lambda: os.open("/dev/shm/strongroom-hostile", os.O_CREAT | os.O_RDWR),
    ),
    "overwrite_python": (errno.EACCES, lambda: os.open(os.__file__, os.O_WRONLY)),
    "truncate_python": (errno.EPERM, lambda: os.truncate(NOWHERE, 0)),
    "symlink": (errno.EPERM, lambda: os.symlink("/etc/passwd", f"{NOWHERE}/link")),
    "mkdir": (errno.EPERM, lambda: os.mkdir(f"{NOWHERE}/folder")),
    "unlink": (errno.EPERM, lambda: os.unlink(NOWHERE)),
    "rename": (errno.EPERM, lambda: os.rename(NOWHERE, f"{NOWHERE}-2")),
    "chmod": (errno.EPERM, lambda: os.chmod(NOWHERE, 0o777)),
    "mknod": (errno.EPERM, lambda: os.mknod(f"{NOWHERE}/node")),
    "memfd": (errno.EPERM, lambda: os.memfd_create("hostile")),
    "mount": (errno.EPERM, lambda: check(_libc.mount(b"x", NOWHERE.encode(), b"tmpfs", 0, 0))),
    "setuid": (errno.EPERM, lambda: os.setuid(12345)),
    "personality": (errno.EPERM, lambda: call(135, 92, 0xFFFF_FFFF)),
    "io_uring": (errno.EPERM, lambda: call(425, 425, 1, 0)),
    "keyring": (errno.EPERM, lambda: call(250, 219, 0, -3, 0)),
    "bpf": (errno.EPERM, lambda: call(321, 280, 0, 0, 0)),
    "perf": (errno.EPERM, lambda: call(298, 241, 0, 0, -1, -1, 0)),
    "userfaultfd": (errno.EPERM, lambda: call(323, 282, 0)),
    "call_without_a_name": (errno.EPERM, lambda: call(4000, 4000)),
    "call_of_another_abi": (errno.EPERM, lambda: call(0x4000_0000 | 39, 0x4000_0000 | 172)),
}


def attempt(context: StepContext) -> Output:
    _, action = ATTEMPTS[str(context.settings["what"])]
    try:
        action()
    except OSError as error:
        return {"errno": error.errno}
    return {"errno": None}


def fork_without_end(context: StepContext) -> Output:
    while True:
        with contextlib.suppress(PermissionError):
            os.fork()


def spin(context: StepContext) -> Output:
    while True:
        pass


def spin_deaf(context: StepContext) -> Output:
    signal.pthread_sigmask(signal.SIG_BLOCK, list(signal.Signals))
    return spin(context)


def sleep(context: StepContext) -> Output:
    time.sleep(1000)
    return {}


def allocate(context: StepContext) -> Output:
    held = []
    while True:
        held.append(bytearray(MIB))


def allocate_at_once(context: StepContext) -> Output:
    return {"length": len(bytearray(1 << 40))}


def start_threads_without_end(context: StepContext) -> Output:
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def segfault(context: StepContext) -> Output:
    ctypes.string_at(0)
    return {}


def abort(context: StepContext) -> Output:
    os.abort()


def real_time_signal(context: StepContext) -> Output:
    signal.raise_signal(40)
    return {}


def leave(context: StepContext) -> Output:
    os._exit(0)


def call_of_32_bits(context: StepContext) -> Output:
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000 cd80 c3"))  # mov eax, getpid; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return {"pid": ctypes.CFUNCTYPE(ctypes.c_int)(address)()}


def long_output(context: StepContext) -> Output:
    return {"text": "a" * (2 * MIB)}


def endless_output(context: StepContext) -> Output:
    part = protocol.PART + bytes(protocol.PIECE)
    while True:
        os.write(channel(), part)


def endless_artifact(context: StepContext) -> Output:
    with context.open_artifact("a", "text/plain") as artifact:
        while True:
            artifact.write(bytes(MIB))


def endless_artifacts(context: StepContext) -> Output:
    while True:
        context.open_artifact("a", "text/plain").close()


def flood_of_reads(context: StepContext) -> Output:
    read = protocol.READ + protocol.RANGE.pack(0, context.size)
    while True:
        os.write(channel(), read)


def forge(context: StepContext) -> Output:
    packets: Any = context.settings["packets"]
    for packet in packets:
        os.write(channel(), bytes.fromhex(packet))
    time.sleep(1000)
    return {}


def hang_up(context: StepContext) -> Output:
    os.close(channel())
    time.sleep(1000)
    return {}


def not_json(context: StepContext) -> Output:
    values: dict[str, Any] = {"nan": float("nan"), "set": {1}, "half": "\ud800"}
    return {"value": values[str(context.settings["what"])]}


def not_an_object(context: StepContext) -> Output:
    return []  # type: ignore[return-value]


def raise_with_content(context: StepContext) -> Output:
    raise ValueError(context.content.read())


def fail(context: StepContext) -> Output:
    raise StepFailed("no_text_layer", "The document has no text layer.")


def recurse(context: StepContext) -> Output:
    return recurse(context)


def leave_things_behind(context: StepContext) -> Output:
    """Leave an open artifact and a thread that reads: neither may disturb the next step."""
    artifact = context.open_artifact("unfinished", "text/plain")
    artifact.write(b"x")

    def read_later() -> None:
        time.sleep(0.02)
        with contextlib.suppress(ValueError):
            context.content.read()
            artifact.write(b"x")

    threading.Thread(target=read_later, daemon=True).start()
    return {}


def speak_up_later(context: StepContext) -> Output:
    """Say something after the step's end, past the line that would keep silent."""

    def speak() -> None:
        time.sleep(0.02)
        os.write(channel(), protocol.DONE + b"{}")

    threading.Thread(target=speak, daemon=True).start()
    return {}


def grow(context: StepContext) -> Output:
    return {"length": len(b"x" * (64 * MIB))}


def doze(context: StepContext) -> Output:
    """Take as long as no small step does, and tell where it could run in the end."""
    time.sleep(0.3)
    return {"processors": [*sorted(os.sched_getaffinity(0))]}


def chat(context: StepContext) -> Output:
    """Take as long, and never be silent for long."""
    for number in range(60):
        with context.open_artifact(f"part-{number}", "text/plain") as artifact:
            artifact.write(b"word")
        time.sleep(0.005)
    return {"processors": [*sorted(os.sched_getaffinity(0))]}


def noop(context: StepContext) -> Output:
    return {}


def echo_results(context: StepContext) -> Output:
    return {"results": dict(context.results)}


def echo(context: StepContext) -> Output:
    return {"settings": dict(context.settings), "results": dict(context.results)}


def describe(context: StepContext) -> Output:
    return {
        "environ": dict(os.environ),
        "descriptors": [number for number in open_descriptors() if number != channel()],
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0) == os.getpid() if context.settings else None,
        "size": context.size,
        "media_type": context.media_type,
    }


def limits(context: StepContext) -> Output:
    names = ("FSIZE", "CORE", "NOFILE")
    return {name: list(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in names}


def digest(context: StepContext) -> Output:
    return {"sha256": hashlib.file_digest(context.content, "sha256").hexdigest()}  # type: ignore[arg-type]


def seek_about(context: StepContext) -> Output:
    ranges: Any = context.settings["ranges"]
    found: list[JSON] = []
    for offset, length in ranges:
        context.content.seek(offset)
        found.append(context.content.read(length).hex())
    end = context.content.seek(0, os.SEEK_END)
    return {"found": found, "end": end, "after": context.content.read().hex()}


def write_artifacts(context: StepContext) -> Output:
    with context.open_artifact("copy", "application/octet-stream") as copy:
        copy.write(context.content.read())
    with context.open_artifact("empty", "text/plain"):
        pass
    with io.TextIOWrapper(context.open_artifact("text", "text/plain"), "utf-8") as text:
        text.write("ü" * 10)
    return {"written": 3}


def count_in_threads(context: StepContext) -> Output:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(sum(range(1000)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"sums": found}  # type: ignore[dict-item]


def picture(context: StepContext) -> Output:
    with Image.open(context.content) as image:
        image.load()
        return {"size": list(image.size), "format": image.format}


def document(context: StepContext) -> Output:
    pdf = pypdfium2.PdfDocument(context.content)
    return {"pages": len(pdf), "text": pdf[0].get_textpage().get_text_range()}


def late_import(context: StepContext) -> Output:
    import colorsys

    return {"value": colorsys.rgb_to_hls(0, 0, 0)[0]}


LIMITED: dict[Callable[[StepContext], Output], Limits] = {
    spin: replace(LIMITS, cpu_s=1),
    fork_without_end: replace(LIMITS, cpu_s=1),
    spin_deaf: replace(QUICK, wall_s=1.5),
    sleep: QUICK,
    start_threads_without_end: replace(LIMITS, wall_s=2),
    flood_of_reads: QUICK,
    forge: QUICK,
}
OTHERS: tuple[Callable[[StepContext], Output], ...] = (
    attempt, allocate, allocate_at_once, segfault, abort, real_time_signal, leave,
    call_of_32_bits, long_output, endless_output, endless_artifact, endless_artifacts,
    hang_up, not_json, not_an_object, raise_with_content, fail, recurse, leave_things_behind,
    speak_up_later, grow, doze, chat, noop, echo, echo_results, describe, limits, digest,
    seek_about, write_artifacts, count_in_threads, picture, document, late_import,
)  # fmt: skip
# After a file of the type text/plain.
SHARING = {describe, doze, chat, fail, leave, speak_up_later, grow}
READING = {echo}  # what the steps before have found
REGISTRY = {
    run.__name__: Step(
        run.__name__,
        run,
        run.__name__,
        limits=LIMITED.get(run, LIMITS),
        shares_child=("text/plain",) if run in SHARING else (),
        reads_results=run in READING,
    )
    for run in (*LIMITED, *OTHERS)
}
get = REGISTRY.__getitem__
