"""The room that every other stands on."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Settings, accounts, the wire contract, the edge."""

    name = "config"

    def ready(self) -> None:
        """Set up logs, register the system checks and the schema of tokens; no core dumps."""
        from config import hardening, logs, schema  # noqa: F401, PLC0415 - registers by import

        hardening.forbid_dumps()  # every process with these settings may come to hold keys
        logs.configure()
