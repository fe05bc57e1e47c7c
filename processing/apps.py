"""Queue, pipelines, traces."""

from django.apps import AppConfig


class ProcessingConfig(AppConfig):
    """The room that works on files."""

    name = "processing"

    def ready(self) -> None:
        """Listen to the news from the room below, and register the system checks."""
        from processing import checks, receivers  # noqa: F401, PLC0415 - registers by import
