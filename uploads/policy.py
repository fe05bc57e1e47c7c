"""The one reader of what this deployment accepts."""

from django.conf import settings

from uploads.validation import Policy


def policy() -> Policy:
    """Return what this deployment accepts."""
    return Policy(
        max_bytes=settings.UPLOADS["MAX_BYTES"],
        allowed_types=tuple(settings.UPLOADS["ALLOWED_TYPES"]),
        denied_types=tuple(settings.UPLOADS["DENIED_TYPES"]),
    )
