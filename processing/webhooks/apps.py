"""Outgoing webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Nested in the room `processing`: its workers deliver."""

    name = "processing.webhooks"
    label = "webhooks"

    def ready(self) -> None:
        """Listen to the news that become deliveries, and register the system checks."""
        from processing.webhooks import checks, receivers  # noqa: F401, PLC0415 - by import
