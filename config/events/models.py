"""What open pages and waiting programs are told."""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Something changed. A hint with ids; the state itself is always read where it lives.

    The id grows, and is the `Last-Event-ID` of the stream. Rows are kept for a day.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    name = models.CharField(max_length=32)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="event_of_owner")]
