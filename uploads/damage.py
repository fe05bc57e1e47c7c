"""What is known of stored bytes at fault: kept until they are whole again, or deleted."""

import logging
from collections.abc import Collection
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from uploads.models import Blob, Damage

logger = logging.getLogger(__name__)


def note(blob: Blob, upload_id: UUID, part: str) -> None:
    """Count that `blob` was found at fault. Never keeps the caller from refusing its bytes."""
    now = timezone.now()
    try:
        with transaction.atomic():
            seen = Damage.objects.filter(pk=blob.pk)
            if not seen.update(last_seen_at=now, times=F("times") + 1):
                Damage.objects.get_or_create(
                    pk=blob.pk,
                    defaults={
                        "upload_id": upload_id,
                        "part": part,
                        "first_seen_at": now,
                        "last_seen_at": now,
                    },
                )
    except DatabaseError:
        logger.exception("damage not noted", extra={"blob": str(blob.pk)})
    finally:
        if not connection.in_atomic_block:
            connection.close()  # the thread may be one that never asks the database otherwise


def forget(blob_ids: Collection[UUID]) -> None:
    """Forget blobs that were read whole, or are gone."""
    Damage.objects.filter(pk__in=blob_ids).delete()
