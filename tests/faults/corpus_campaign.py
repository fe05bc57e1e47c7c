"""Every file of the corpus through every step that claims its type, and through its pipeline.

    python -m tests.faults.corpus_campaign [FOLDER] [--report FILE]

Each step runs in the sandbox as it does in a worker. What may not happen: that the zygote ends,
that a step is over its wall limit by more than two seconds, that a step raises something else than
a refusal, that a run does not end. What a child dies of is counted: it is what the sandbox is for.
FOLDER has the corpus unpacked, or its `corpus.tar.gz`.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processing.sandbox import Sandbox, StepStopped
from processing.steps import registry
from processing.steps.contract import StepFailed
from tests.processing.steps.corpus import FOLDER
from tests.source import BytesSource
from uploads.media_types import HEAD_BYTES, detect

GRACE_S = 2.0
# How a step may end over a file besides well: its own refusals, and what the sandbox stops.
SANDBOX_STOPS = frozenset(
    {"step_crashed", "step_cpu_exceeded", "step_out_of_memory", "step_timed_out"}
)
HEADING = """# The campaign over the corpus

Every file of a corpus of real and hostile files, through every step that claims its type, each in
the sandbox, and then through its pipeline. What a step refuses, and what the sandbox ends, is
counted; what may not happen stands at the end. Members of archives become files with runs of their
own, which nobody takes up here: they stay queued.

    python -m tests.faults.corpus_campaign FOLDER --report docs/corpus-campaign.md

makes this page anew.
"""


class Nowhere:
    """An artifact that is counted and forgotten."""

    def write(self, _: bytes, /) -> None:
        """Take it."""

    def close(self) -> None:
        """End it."""


@dataclass
class Tally:
    """What came of one step over all files that it claims."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest_file: str = ""
    largest_mib: int = 0


def main() -> None:
    """Run the campaign, print its report, and fail if something happened that may not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as unpacked:
        folder = options.folder
        if (folder / "corpus.tar.gz").is_file():
            with tarfile.open(folder / "corpus.tar.gz") as packed:
                packed.extractall(unpacked, filter="data")
            folder = Path(unpacked)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        wrong: list[str] = []
        lines = [*through_steps(folder, files, wrong), "", *through_pipelines(folder, files, wrong)]
    lines += ["", f"What may not happen happened {len(wrong)} times.", *wrong]
    print("\n".join(lines))
    if options.report:
        options.report.write_text("\n".join([HEADING, *lines]) + "\n")
    sys.exit(bool(wrong))


def through_steps(folder: Path, files: list[Path], wrong: list[str]) -> Iterator[str]:
    """Run every step over every file that it claims, and yield a table of what came of it."""
    tallies = {name: Tally() for name in registry.REGISTRY}
    began = time.monotonic()
    with Sandbox() as sandbox:
        zygote = zygote_of(sandbox)
        for path in files:
            content = path.read_bytes()
            media_type = detect(content[:HEAD_BYTES])
            name = str(path.relative_to(folder))
            for step in registry.REGISTRY.values():
                if step.reads(media_type):
                    end, spent_s, mib = run_step(sandbox, step.name, content, media_type)
                    note(tallies[step.name], name, end, spent_s, mib)
                    if spent_s > step.limits.wall_s + GRACE_S:
                        wrong.append(f"{step.name} over {name} took {spent_s:.1f} s.")
                    if end == "step_raised":
                        wrong.append(f"{step.name} over {name} raised.")
        if zygote_of(sandbox) != zygote:
            wrong.append("The zygote was replaced.")
    yield f"{len(files)} files, {time.monotonic() - began:.0f} s."
    yield ""
    yield "| step | files | well | ends otherwise | slowest, s | largest, MiB |"
    yield "|---|---|---|---|---|---|"
    for step_name, tally in tallies.items():
        others = ", ".join(f"{end} {n}" for end, n in tally.ends.most_common() if end != "ok")
        yield (
            f"| `{step_name}` | {sum(tally.ends.values())} | {tally.ends['ok']} | {others} "
            f"| {tally.slowest_s:.2f} ({tally.slowest_file}) | {tally.largest_mib} |"
        )


def run_step(
    sandbox: Sandbox, name: str, content: bytes, media_type: str
) -> tuple[str, float, int]:
    """Return how a step ended over a file, after how many seconds, and its memory in MiB."""
    began = time.monotonic()
    end, memory = "ok", 0
    try:
        with sandbox.open(BytesSource(content), media_type) as session:
            outcome = session.run(name, settings={}, results={}, open_artifact=lambda *_: Nowhere())
            memory = outcome.max_rss_bytes
    except StepStopped as stopped:
        end = stopped.code
        memory = stopped.usage.max_rss_bytes if stopped.usage else 0
    except StepFailed as failed:
        end = failed.code
    return end, time.monotonic() - began, memory >> 20


def note(tally: Tally, name: str, end: str, spent_s: float, mib: int) -> None:
    """Count one end."""
    tally.ends[end] += 1
    tally.largest_mib = max(tally.largest_mib, mib)
    if spent_s > tally.slowest_s:
        tally.slowest_s, tally.slowest_file = spent_s, name


def zygote_of(sandbox: Sandbox) -> int:
    """Return the process id of the zygote."""
    zygote: Any = sandbox._living_zygote()
    return int(zygote._process.pid)


def through_pipelines(folder: Path, files: list[Path], wrong: list[str]) -> Iterator[str]:
    """Hand in every file and run it, and yield what became of the runs."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    import django

    django.setup()
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    from config.accounts.models import User
    from config.errors import AppError
    from processing import queue, runner
    from processing.definitions import sync_builtin
    from processing.models import Run, RunState
    from uploads.intake import Offer, receive_upload
    from uploads.models import Door

    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    began = time.monotonic()
    try:
        sync_builtin()
        owner = User.objects.create_user("corpus", password="a-long-pass-phrase")
        refused: Counter[str] = Counter()
        for path in files:
            name = str(path.relative_to(folder))
            offer = Offer(owner=owner, name=path.name, declared_type="", door=Door.API)
            try:
                with path.open("rb") as content:
                    upload = receive_upload(offer, content)
            except AppError as refusal:
                refused[refusal.code] += 1
                continue
            upload.refresh_from_db()
            claim = queue.claim(upload.run_id, "campaign") if upload.run_id else None
            if claim is not None:
                runner.execute(claim)
            run = Run.objects.filter(upload=upload).first()
            if run is not None and run.state not in (RunState.SUCCEEDED, RunState.FAILED):
                wrong.append(f"The run over {name} is {run.state}: {run.error_code}.")
        states = Counter(Run.objects.values_list("state", flat=True))
        codes = Counter(
            Run.objects.filter(state=RunState.FAILED).values_list("error_code", flat=True)
        )
        yield f"Through their pipelines in {time.monotonic() - began:.0f} s:"
        yield ""
        yield f"- runs: {dict(states)}"
        yield f"- reasons of those that failed: {dict(codes.most_common())}"
        yield f"- refused at the door: {dict(refused.most_common())}"
    finally:
        runner.sandbox.cache_clear()
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
