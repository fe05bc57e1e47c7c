"""Live events."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Nested in the room `config`: every room announces, the edge delivers."""

    name = "config.events"
    label = "events"
