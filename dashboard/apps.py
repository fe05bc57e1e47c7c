"""The pages."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The room that people see. It owns no business rule."""

    name = "dashboard"
