"""Requests with an `Idempotency-Key`, and what they made."""

from uuid import UUID

from django.conf import settings
from django.db import models


class KeptRequest(models.Model):
    """One request that made something, or is about to.

    Only digests: of the key, of what the request asked for, and of its body under the key. While
    `subject` is empty the request is under way until its lease ends.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=64)
    asked = models.CharField(max_length=64)
    body = models.CharField(max_length=64, blank=True)
    subject: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, help_text="What it made: an upload or a run."
    )
    lease_expires_at = models.DateTimeField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="kept_request_has_its_key"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
