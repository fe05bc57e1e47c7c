"""What endpoints can be told of, and what a message says. Pure, but for the paths of links."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

# Name -> what it tells. Endpoints choose among these.
EVENTS: Mapping[str, str] = {
    "upload.stored": "A file was taken in",
    "upload.judged": "The checks of a file came to a verdict, or its hold was lifted",
    "upload.deleted": "A file was deleted",
    "run.succeeded": "A run came to its end",
    "run.failed": "A run failed",
    "run.cancelled": "A run was cancelled",
}
EVENT_CHOICES = tuple(EVENTS.items())
# What an endpoint is told without having chosen it: by a step of a pipeline, and by "Send test".
REACHED = "run.reached"
TEST = "webhook.test"

_LINKS = {"upload": "api-upload", "run": "api-run"}


def body_of(event: str, facts: Mapping[str, Any], occurred_at: datetime) -> bytes:
    """Return the body of a message: `type`, `timestamp`, and `data` with ids, states and links."""
    message = {
        "type": event,
        "timestamp": occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {**facts, "links": _links(event, facts)},
    }
    return json.dumps(message, separators=(",", ":")).encode()


def _links(event: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return where to read on; nothing is left of what was deleted."""
    if event == "upload.deleted":
        return {}
    return {
        name: _origin() + reverse(view, args=[facts[name]])
        for name, view in _LINKS.items()
        if name in facts
    }


def _origin() -> str:
    """Return under which address people see this installation; without one, links are paths."""
    origins = (origin for origin in settings.CSRF_TRUSTED_ORIGINS if "*" not in origin)
    return next(origins, "").rstrip("/")
