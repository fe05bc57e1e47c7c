"""Paths of tus, under /api/v1/. Clients differ in the slash at the end."""

from django.urls import path

from uploads.tus import views

urlpatterns = [
    path("tus/", views.SessionsView.as_view(), name="api-tus"),
    path("tus", views.SessionsView.as_view()),
    path("tus/<str:token>", views.SessionView.as_view(), name="api-tus-session"),
    path("tus/<str:token>/", views.SessionView.as_view()),
]
