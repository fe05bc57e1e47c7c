"""What the room does on news from the room below."""

from typing import Any

from django.dispatch import receiver

from config.accounts.models import User
from processing import definitions
from processing.runs import start_run
from uploads.models import Upload
from uploads.signals import upload_announced, upload_stored


@receiver(upload_announced)
def refuse_an_unknown_pipeline(owner: User, pipeline: str | None, **_: Any) -> None:
    """Refuse before the first byte what could never run."""
    definitions.check_name(pipeline, owner=owner)


@receiver(upload_stored)
def start_the_first_run(upload: Upload, pipeline: str | None, **_: Any) -> None:
    """Every upload gets a run, in the transaction that makes the upload."""
    start_run(upload=upload, pipeline=pipeline)
