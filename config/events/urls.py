"""The path of the live stream, under /api/v1/."""

from django.urls import path

from config.events.views import EventsView

urlpatterns = [path("events/", EventsView.as_view(), name="api-events")]
