"""What the room does on news from the room below."""

from typing import Any

from django.dispatch import receiver

from config.accounts.models import User
from processing import definitions, queue
from processing.errors import QueueFull
from processing.models import Run
from processing.runs import start_run
from uploads.models import Upload
from uploads.signals import upload_announced, upload_deleted, upload_stored


@receiver(upload_announced)
def refuse_an_unknown_pipeline(owner: User, pipeline: str | None, **_: Any) -> None:
    """Refuse before the first byte what could never run."""
    definitions.check_name(pipeline, owner=owner)


@receiver(upload_announced)
def refuse_when_too_much_waits(**_: Any) -> None:
    """Ask for patience, instead of taking in what nobody gets around to."""
    if queue.is_full():
        raise QueueFull


@receiver(upload_deleted)
def lock_runs(upload: Upload, **_: Any) -> None:
    """Take the runs before the upload, as workers do."""
    list(Run.objects.select_for_update().filter(upload=upload).order_by("pk").values_list("pk"))


@receiver(upload_stored)
def start_the_first_run(upload: Upload, pipeline: str | None, **_: Any) -> None:
    """Every upload gets a run, in the transaction that makes the upload."""
    start_run(upload=upload, pipeline=pipeline)
