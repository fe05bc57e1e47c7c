"""Accounts: who people are, and how they and their programs prove it."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Nested in the room `config`, because every room needs to know its users."""

    name = "config.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Connect what ends tokens when a password changes."""
        from config.accounts import receivers  # noqa: F401, PLC0415 - needs the models
