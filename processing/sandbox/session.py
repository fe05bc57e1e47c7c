"""The steps of one run over one file, in one child after the other; files of one owner in a row."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from signal import SIGKILL, SIGXCPU, Signals
from types import TracebackType
from typing import Self
from uuid import UUID

from config.ranges import RangeSource
from processing.sandbox import protocol
from processing.sandbox.core import Core
from processing.sandbox.exchange import ArtifactSink, Content, Exchange, TooMuch
from processing.sandbox.outcome import StepOutcome, StepStopped, Usage
from processing.sandbox.process import DYING_S, ChildProcess, Gone, Late, Malformed, idle
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepFailed

MAX_GROWTH = 32 * MIB  # of a child that may go on to the next file
SMALL_S = 0.05  # a step that takes longer may use another processor than the worker's


class Session:
    """Runs steps over `content`: in one child, until it dies and the next step gets another.

    For one thread. A step that took over its child could forge the answers of the steps that
    follow over the same file, never those over another: `keep_child` gets a child only when
    all that it ran shares it, and all went well.
    """

    def __init__(
        self,
        content: RangeSource,
        media_type: str,
        *,
        find_step: Callable[[str], Step],
        start_child: Callable[[], ChildProcess],
        keep_child: Callable[[ChildProcess], None],
        pulse: Callable[[], None],
        core: Core,
    ) -> None:
        self._content = Content(content)
        self._media_type = media_type
        self._find_step = find_step
        self._start_child = start_child
        self._keep_child = keep_child
        self._pulse = pulse
        self._core = core
        self._began = 0.0  # of the step
        self._child: ChildProcess | None = None
        self._is_clean = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        child = self._child
        if child is not None and self._is_clean and error is None:
            self._child = None
            self._keep_child(child)
        self._close()

    def run(
        self,
        name: str,
        *,
        settings: Mapping[str, JSON],
        results: Mapping[str, Output],
        open_artifact: Callable[[str, str], ArtifactSink],
        wall_s: float | None = None,
        media_type: str | None = None,
    ) -> StepOutcome:
        """Run the step `name` and return its outcome; `wall_s` replaces its own time limit.

        `media_type` is what the step is told, if not the type of the file.

        What `content` and the artifacts' sinks raise comes through, after the child's end.

        Raises:
            StepStopped: the step failed, or was ended, or could not start.
        """
        step = self._find_step(name)
        limits = step.limits
        if wall_s is not None:
            limits = replace(limits, wall_s=wall_s)
        request = protocol.Request(
            name=name,
            settings=dict(settings),
            results=dict(results) if step.reads_results else {},
            media_type=media_type or self._media_type,
            size=self._content.size,
        )
        child = self._living_child()
        self._is_clean = self._is_clean and step.leaves_child_clean(request["media_type"])
        self._place(child)
        self._began = time.monotonic()
        exchange = Exchange(child, self._content, limits, open_artifact)
        cpu_before_s = 0.0
        try:
            cpu_before_s = child.cpu_s()
            child.limit(limits, cpu_s=cpu_before_s)
            answer = exchange.run(json.dumps(request).encode())
            usage = _usage(exchange, child.cpu_s() - cpu_before_s, child.max_rss_bytes())
        except (Gone, Late, Malformed, TooMuch) as error:
            self._child = None
            self._is_clean = False
            raise _stop(child, error, exchange, limits, cpu_before_s) from None
        except BaseException:
            self._close()
            raise
        if isinstance(answer, StepFailed):
            self._is_clean = False
            raise StepStopped(answer.code, answer.detail, usage)
        return StepOutcome(output=answer, **vars(usage))

    def _living_child(self) -> ChildProcess:
        if self._child is not None and self._child.has_ended():
            self._close()
        if self._child is None:
            self._child = self._start_child()
            self._child.pulse = self._beat
        return self._child

    def _beat(self) -> None:
        if time.monotonic() - self._began > SMALL_S:
            self._core.leave()
        self._pulse()

    def _place(self, child: ChildProcess) -> None:
        """Put a child that does small things where the worker is; any other may need more."""
        if self._is_clean:
            self._core.share_with(child.pid)
        else:
            self._core.leave()

    def _close(self) -> None:
        if self._child is not None:
            self._core.forget()
            self._child.close()
            self._child = None


class Sitting:
    """Files in a row, of which those of one owner may share a child. For one thread.

    Steps that leave their child clean run where the worker does, if `core` keeps a processor.

    A child goes on to the next file of the same owner if it ran nothing but steps that share it,
    every one of them succeeded, and it is silent and has hardly grown; at the most
    `files_per_child` times. It never sees files of two owners.
    """

    def __init__(
        self,
        find_step: Callable[[str], Step],
        start_child: Callable[[], ChildProcess],
        *,
        files_per_child: int,
        core: Core,
    ) -> None:
        self._find_step = find_step
        self._start_child = start_child
        self._files_per_child = files_per_child
        self._core = core
        self._owner: UUID | None = None
        self._kept: ChildProcess | None = None
        self._files = 0  # that the latest child has served

    def open(
        self,
        content: RangeSource,
        media_type: str,
        *,
        owner: UUID,
        pulse: Callable[[], None] = idle,
    ) -> Session:
        """Return the session for one file of `owner`. Its child starts with the first step.

        `pulse` is called again and again while a step runs, and should return soon; what it
        raises ends the step.
        """
        if owner != self._owner:
            self.close()
            self._owner = owner
        return Session(
            content,
            media_type,
            find_step=self._find_step,
            start_child=self._next_child,
            keep_child=self._keep,
            pulse=pulse,
            core=self._core,
        )

    def _next_child(self) -> ChildProcess:
        child, self._kept = self._kept, None
        if child is not None and child.is_silent():
            return child
        if child is not None:
            self._end(child)
        self._files = 0
        return self._start_child()

    def _keep(self, child: ChildProcess) -> None:
        self._files += 1
        if self._files < self._files_per_child and child.growth_bytes() <= MAX_GROWTH:
            self._kept = child
        else:
            self._end(child)

    def close(self) -> None:
        """Let go of the child that waits for the next file, and of the processor."""
        self._core.leave()
        if self._kept is not None:
            self._end(self._kept)
            self._kept = None

    def _end(self, child: ChildProcess) -> None:
        self._core.forget()
        child.close()


def _stop(
    child: ChildProcess, error: Exception, exchange: Exchange, limits: Limits, cpu_before_s: float
) -> StepStopped:
    died = isinstance(error, Gone) and child.has_ended(wait_s=DYING_S)
    ending = child.end()
    if ending is None:
        return StepStopped("sandbox_lost", "The step's process was lost with the sandbox.")
    code, detail = _fate(ending.status) if died else _verdict(error, limits)
    usage = _usage(exchange, ending.cpu_s - cpu_before_s, ending.max_rss_bytes)
    return StepStopped(code, detail, usage)


def _usage(exchange: Exchange, cpu_s: float, max_rss_bytes: int) -> Usage:
    return Usage(
        cpu_ms=cpu_s * 1000,
        max_rss_bytes=max_rss_bytes,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
    )


def _verdict(error: Exception, limits: Limits) -> tuple[str, str]:
    """Return code and detail for a child that was killed by us."""
    if isinstance(error, Late):
        return "step_timed_out", f"The step took longer than {limits.wall_s:g} seconds."
    if isinstance(error, TooMuch):
        return "step_output_too_large", "The step gave more than its limits allow."
    return "step_crashed", "The step's process broke the protocol."


def _fate(status: int) -> tuple[str, str]:
    """Return code and detail for a child that ended by itself, with this wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == SIGXCPU:
            return "step_cpu_exceeded", "The step used more CPU time than it may."
        if number == SIGKILL:  # which no child can send, and we did not
            return "step_out_of_memory", "The system ended the step, for want of memory."
        name = Signals(number).name if number in set(Signals) else f"signal {number}"
        return "step_crashed", f"The step's process was ended by {name}."
    if os.WEXITSTATUS(status) == protocol.EXIT_NO_MEMORY:
        return "step_out_of_memory", "The step needed more memory than it may have."
    return "step_crashed", "The step's process ended without an answer."
