"""Requests that may be sent twice and count once."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """Nested in the room `config`: every room that makes something keeps its requests here."""

    name = "config.idempotency"
    label = "idempotency"
