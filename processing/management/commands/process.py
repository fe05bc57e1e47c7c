"""Take one file in, run its pipeline here and now, print the trace, write the artifacts.

Exit codes: 0 the run succeeded, 1 it did not, 2 the file was not taken in.
"""

import json
import os
import socket
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from config.accounts.models import User
from config.errors import AppError
from processing import queue, runner
from processing.api.serializers import RunSerializer, StepRecordSerializer
from processing.models import Run, RunState
from processing.runs import ENDED
from processing.traces import StepView, trace_of
from uploads.api.serializers import UploadSerializer
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload
from uploads.reading import open_blob

REFUSED = 2
PAUSE_S = 0.2
READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
COLUMNS = "{:<20} {:>3}  {:<10} {:>12} {:>12} {:>12}  {}"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--pipeline", help="its name; without it, the type of the file decides")
        parser.add_argument("--user", default="demo", help="whose upload it becomes")
        parser.add_argument("--out", type=Path, help="folder of the artifacts (FILE.out)")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")

    def handle(self, **options: Any) -> None:
        file: Path = options["file"]
        upload = receive(file, options["user"], options["pipeline"])
        run = work_on(upload)
        trace = trace_of(run)
        folder = options["out"] or Path(f"{file.name}.out")
        written = write_artifacts(trace, folder)
        if options["json"]:
            self.stdout.write(json.dumps(as_data(upload, run, trace), indent=2))
        else:
            self.print_table(run, trace, written)
        if run.state != RunState.SUCCEEDED:
            sys.exit(1)

    def print_table(self, run: Run, trace: list[StepView], written: list[Path]) -> None:
        self.stdout.write(
            COLUMNS.format("step", "try", "state", "ms", "bytes in", "bytes out", "error")
        )
        for record in (view.record for view in trace):
            error = record.error_code or (record.caused_by and f"because of {record.caused_by}")
            numbers = (record.duration_ms, record.bytes_in, record.bytes_out)
            cells = ("" if number is None else f"{number:,.0f}" for number in numbers)
            self.stdout.write(
                COLUMNS.format(record.step, record.attempt, record.state, *cells, error).rstrip()
            )
        for path in written:
            self.stdout.write(f"wrote {on_one_line(path)}")
        reason = f" ({run.error_code}: {run.error_detail})" if run.error_code else ""
        self.stdout.write(f"run {run.pk} {run.state}{reason}")


def receive(file: Path, username: str, pipeline: str | None) -> Upload:
    """Take `file` in for the user.

    Raises:
        CommandError: nothing was stored.
    """
    owner = User.objects.filter(username=username, is_active=True).first()
    if owner is None:
        raise CommandError(f"There is no active user {username!r}.", returncode=REFUSED)
    try:
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            offer = Offer(
                owner=owner,
                name=file.name,
                declared_type="",
                door=Door.COMMAND,
                pipeline=pipeline,
                size=size,
            )
            return receive_upload(offer, content)
    except OSError as error:
        raise CommandError(
            f"{on_one_line(file)} cannot be read: {error.strerror}.", returncode=REFUSED
        ) from None
    except AppError as error:
        raise CommandError(f"{error.code}: {error}", returncode=REFUSED) from None


def work_on(upload: Upload) -> Run:
    """Execute the latest run of `upload`, unless a worker is at it already; return it ended."""
    worker = f"{socket.gethostname()}/process/{os.getpid()}"
    run = Run.objects.get(upload=upload)
    while run.state not in ENDED:
        if claim := queue.claim(run.pk, worker):
            runner.execute(claim)
        else:
            time.sleep(PAUSE_S)
        run.refresh_from_db()
    return run


def write_artifacts(trace: list[StepView], folder: Path) -> list[Path]:
    """Write every artifact into a folder of its step, in the clear; return the paths."""
    paths = []
    for view in trace:
        for artifact in view.artifacts:
            path = folder / Path(view.record.step).name / Path(artifact.name).name
            with open_blob(artifact.blob) as content, _open_private(path) as target:
                target.writelines(content.chunks())
            paths.append(path)
    return paths


def _open_private(path: Path) -> BinaryIO:
    """Open a new file for its owner alone, in place of what is there; follow no link."""
    step = path.parent
    step.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as opened:
        try:
            folder = os.open(step.parent, READ_FOLDER)
            opened.callback(os.close, folder)
            with suppress(FileExistsError):
                os.mkdir(step.name, 0o700, dir_fd=folder)
            inner = os.open(step.name, READ_FOLDER, dir_fd=folder)
            opened.callback(os.close, inner)
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=inner)
            target = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=inner)
        except OSError as error:
            raise CommandError(
                f"{on_one_line(path)} cannot be written: {error.strerror}."
            ) from None
        return os.fdopen(target, "wb")


def on_one_line(path: Path) -> str:
    """Return a path as a terminal may show it: other than plain characters as their codes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(path))


def as_data(upload: Upload, run: Run, trace: list[StepView]) -> dict[str, Any]:
    """Return what the API says of the three."""
    upload.refresh_from_db()
    return {
        "upload": UploadSerializer(upload).data,
        "run": RunSerializer(run).data,
        "trace": StepRecordSerializer(trace, many=True).data,  # type: ignore[arg-type]
    }
