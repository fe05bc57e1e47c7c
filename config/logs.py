"""Structured logs: one JSON line an event, with the ids that the caller bound."""

import re
from typing import Any

import structlog

# The address of an upload session authorises whoever knows it.
# The address of a raw body holds the name of the file; what has an id there, has no name.
SECRET_ADDRESS = re.compile(
    r"(/tus/|/api/v1/uploads/(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[/?\s'\"]|$)))"
    r"[^/\s'\"]+"
)
UNKNOWN_HOST = "django.security.DisallowedHost"  # Django logs it with a traceback


def hide_addresses(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Cut out what would let a reader of the logs act for somebody, and names of files."""
    event.pop("request", None)  # Django's own extra: an object whose text repeats the path
    for key, value in event.items():
        if isinstance(value, str) and ("/tus/" in value or "/uploads/" in value):
            event[key] = SECRET_ADDRESS.sub(r"\1...", value)
    return event


def shorten_unknown_hosts(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Say in one line that somebody asked for a host that is not ours: it is answered with 400."""
    if event.get("logger") == UNKNOWN_HOST:
        event.pop("exc_info", None)
        event["level"] = "warning"
    return event


def shared_processors() -> list[Any]:
    """Return what every event passes, whether logged through structlog or the standard library."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        shorten_unknown_hosts,
        structlog.processors.format_exc_info,
        hide_addresses,
    ]


def configure() -> None:
    """Send structlog's events through the standard library's handlers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
