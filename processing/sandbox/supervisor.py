"""The worker's side: a `Sandbox` keeps one zygote, and opens a session for each file."""

import importlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from config.ranges import RangeSource
from processing.sandbox import kernel, protocol
from processing.sandbox.core import Core
from processing.sandbox.kernel import Support
from processing.sandbox.outcome import StepStopped
from processing.sandbox.process import ChildProcess, NotStarted, idle
from processing.sandbox.session import Session, Sitting
from processing.steps.contract import Step

logger = logging.getLogger(__name__)

NOBODY = UUID(int=0)  # the owner of a file that shares its child with no other
ROOT = Path(__file__).parents[2]
WARM_UP_S = 60.0
BOOTSTRAP = """
import sys
root, control, worker, registry, confined = sys.argv[1:]
sys.path.insert(0, root)
from processing.sandbox.zygote import main
main(int(control), int(worker), registry, confined=confined == "True")
"""


class Sandbox:
    """Locked-in children for one worker process.

    `registry` names the module whose `get` finds a step. `allow_unsandboxed` lets steps run
    with limits on resources only, where the kernel offers no more.
    """

    def __init__(
        self, allow_unsandboxed: bool = False, *, registry: str = "processing.steps.registry"
    ) -> None:
        support = self.support()
        self._confined = support.complete
        self._usable = support.complete or allow_unsandboxed
        self._registry = registry
        self._get: Callable[[str], Step] | None = None
        self._zygote: ZygoteProcess | None = None
        self._core = Core()
        self._starting = threading.Lock()

    @staticmethod
    def support() -> Support:
        """Return what this kernel offers."""
        return kernel.support()

    def __enter__(self) -> Self:
        """Start the zygote, so that no file waits for it and a broken registry shows now.

        Raises:
            StepStopped: it did not start; its traceback is a note of the error.
        """
        if self._usable:
            self._living_zygote()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the zygote, and with it every child."""
        if self._zygote is not None:
            self._discard(self._zygote)

    def open(
        self, content: RangeSource, media_type: str, *, pulse: Callable[[], None] = idle
    ) -> Session:
        """Return the session for one file. Its child starts with the first step.

        `pulse` is called again and again while a step runs, and should return soon; what it
        raises ends the step.
        """
        alone = Sitting(
            self._find_step, self._start_child, files_per_child=1, core=Core(keeps=False)
        )
        return alone.open(content, media_type, owner=NOBODY, pulse=pulse)

    def sitting(self, *, files_per_child: int = 1) -> Sitting:
        """Return what opens the sessions for files in a row, which may share a child.

        Until it is closed the caller's thread may be kept on one processor; see `roam`.
        """
        return Sitting(
            self._find_step, self._start_child, files_per_child=files_per_child, core=self._core
        )

    def roam(self) -> None:
        """Let the caller's thread run on any processor, as before it begins others."""
        self._core.leave()

    def _find_step(self, name: str) -> Step:
        if self._get is None:
            self._get = importlib.import_module(self._registry).get
        return self._get(name)

    def _start_child(self) -> ChildProcess:
        if not self._usable:
            raise StepStopped(
                "sandbox_unavailable", "This machine's kernel cannot lock in a step's process."
            )
        for _ in range(2):
            zygote = self._living_zygote()
            try:
                return ChildProcess(zygote.control)
            except NotStarted:
                logger.warning("zygote replaced", exc_info=True)
                self._discard(zygote)
        raise StepStopped("sandbox_not_started", "The step's process could not be started.")

    def _living_zygote(self) -> "ZygoteProcess":
        with self._starting:
            if self._zygote is None:
                self.roam()
                self._zygote = ZygoteProcess(self._registry, confined=self._confined)
            return self._zygote

    def _discard(self, zygote: "ZygoteProcess") -> None:
        with self._starting:
            if self._zygote is zygote:  # another thread may have been faster
                self._zygote = None
                zygote.close()


class ZygoteProcess:
    """The worker's hold on its zygote, which starts without anything that the worker knows.

    Raises:
        StepStopped: when it is made.
    """

    def __init__(self, registry: str, *, confined: bool) -> None:
        self.control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = (ROOT, its_control.fileno(), os.getpid(), registry, confined)
        with its_control:
            self._process = subprocess.Popen(  # noqa: S603 - no part of it comes from outside
                [sys.executable, "-I", "-c", BOOTSTRAP, *map(str, arguments)],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a library's warning may quote content
                close_fds=True,
                pass_fds=[its_control.fileno()],
                start_new_session=True,
            )
        self.control.settimeout(WARM_UP_S)
        try:
            message = self.control.recv(protocol.PACKET)
        except OSError:
            message = b""
        if message != protocol.READY:
            self.close()
            # Without a message it was killed, or too slow.
            code = "sandbox_unavailable" if message else "sandbox_not_started"
            error = StepStopped(code, "The sandbox did not start.")
            error.add_note(message.decode(errors="replace"))
            raise error

    def close(self) -> None:
        """End it. Its children are killed by the kernel."""
        self.control.close()
        self._process.kill()
        self._process.wait()
