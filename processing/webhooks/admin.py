"""Webhooks in the admin: that they are there and how they do, not where they lead."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from processing.webhooks.models import Attempt, Delivery, Endpoint


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """Endpoints of all users, without addresses and secrets: those are sealed for their owners."""

    list_display = ["id", "owner", "name", "enabled", "ended_because", "failures", "failing_since"]
    list_filter = ["enabled", "ended_because"]
    list_select_related = ["owner"]
    search_fields = ["id", "owner__username"]
    exclude = ["sealed_url", "sealed_secret", "sealed_previous"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries of all users."""

    list_display = ["id", "endpoint_id", "event", "state", "attempt", "due_at", "occurred_at"]
    list_filter = ["state", "event"]
    search_fields = ["id", "endpoint__id"]


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Attempts at deliveries."""

    list_display = ["delivery_id", "number", "started_at", "duration_ms", "status", "error_code"]
    list_filter = ["error_code", "status"]
    search_fields = ["delivery__id"]
