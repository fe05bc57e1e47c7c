"""Intake, validation, encrypted storage."""

from django.apps import AppConfig


class UploadsConfig(AppConfig):
    """The room that takes files in and keeps them."""

    name = "uploads"

    def ready(self) -> None:
        """Register the system checks, and what follows from a sign-out."""
        from uploads import checks  # noqa: F401, PLC0415 - registers by import
        from uploads.tus import receivers  # noqa: F401, PLC0415 - registers by import
