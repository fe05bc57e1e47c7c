"""Paths of the pages."""

from django.urls import path

from dashboard import views

urlpatterns = [
    path("", views.inbox, name="home"),
    path("stats/", views.stats, name="stats"),
    path("uploads/<uuid:pk>/", views.upload, name="upload"),
    path("uploads/<uuid:pk>/run/", views.upload_run, name="upload-run"),
    path("uploads/<uuid:pk>/delete/", views.upload_delete, name="upload-delete"),
    path("runs/<uuid:pk>/", views.run, name="run"),
    path("runs/<uuid:pk>/cancel/", views.run_cancel, name="run-cancel"),
    path("runs/<uuid:pk>/retry/", views.run_retry, name="run-retry"),
    path("account/", views.account, name="account"),
    path("account/theme/", views.account_theme, name="account-theme"),
]
