"""Runs a step over files, each in a process of its own under limits, and prints what came of it.

    python -m tests.processing.steps.isolated STEP FILE...

A line for each file: "ok", a failure's code, the name of any other exception, or the signal.
The sandbox has more walls than this; here it only has to be survivable.
"""

import json
import os
import resource
import sys
from pathlib import Path

from processing.steps import registry
from processing.steps.contract import Step, StepFailed
from tests.processing.steps.harness import run

CPU_S = 20


def main() -> None:
    """Read the arguments and print a JSON object by file."""
    step = registry.get(sys.argv[1])
    print(json.dumps({file: answer(step, Path(file)) for file in sys.argv[2:]}))


def answer(step: Step, file: Path) -> str:
    """Return what became of one file."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        limit(step)
        os.write(writer, try_step(step, file.read_bytes()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return said or f"signal {os.WTERMSIG(status)}"


def limit(step: Step) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    memory = mapped + step.limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def try_step(step: Step, content: bytes) -> str:
    try:
        run(step, content)
    except StepFailed as error:
        return error.code
    except BaseException as error:  # noqa: BLE001 - it is what the test is about
        return type(error).__name__
    return "ok"


if __name__ == "__main__":
    main()
