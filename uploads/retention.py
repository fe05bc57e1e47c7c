"""Uploads that have been kept for as long as their owner's policy says."""

import logging
from datetime import timedelta

from django.utils import timezone

from config.accounts.models import User
from uploads.deletion import delete_upload
from uploads.models import Upload, UploadState
from uploads.policy import policy_for

logger = logging.getLogger(__name__)

AT_ONCE = 500
AT_WORK = (UploadState.QUEUED, UploadState.RUNNING)


def delete_expired() -> int:
    """Delete what is older than the retention of its owner, and return how many that were.

    What is still being worked on waits for another night.
    """
    deleted = 0
    now = timezone.now()
    for owner in User.objects.filter(uploads__isnull=False).distinct():
        days = policy_for(owner).retention_days
        if days is None:
            continue
        old = Upload.objects.filter(owner=owner, created_at__lt=now - timedelta(days=days))
        old = old.exclude(state__in=AT_WORK).order_by("pk")
        later = old
        # Page by page: SQLite lets nobody write who still reads what was there before others wrote.
        while batch := list(later[:AT_ONCE]):
            later = old.filter(pk__gt=batch[-1].pk)
            for upload in batch:
                delete_upload(upload)
            deleted += len(batch)
    if deleted:
        logger.info("expired uploads deleted", extra={"uploads": deleted})
    return deleted
