"""What becomes a delivery: live events, and files that are taken in."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from config.events.models import Event
from config.events.signals import announced
from processing.webhooks import outbox
from processing.webhooks.outbox import News
from uploads.models import Upload
from uploads.signals import upload_stored


@receiver(announced)
def tell_of_events(events: Sequence[Event], **_: Any) -> None:
    """Tell of what is announced to open pages."""
    outbox.tell(outbox.news_of(events))


@receiver(upload_stored)
def tell_of_a_new_upload(upload: Upload, **_: Any) -> None:
    """Tell of an upload in the transaction that makes it."""
    facts = {"upload": str(upload.pk), "verdict": str(upload.verdict)}
    outbox.tell([News(upload.owner_id, "upload.stored", facts)])
