"""Paths of tus, under /api/v1/. Clients differ in the slash at the end.

The OpenAPI document shows each address once.
"""

from django.urls import path

from uploads.tus import views

urlpatterns = [
    path("tus/", views.SessionsView.as_view(), name="api-tus"),
    path("tus", views.SessionsView.as_view(schema=None)),
    path("tus/<str:token>", views.SessionView.as_view(), name="api-tus-session"),
    path("tus/<str:token>/", views.SessionView.as_view(schema=None)),
]
