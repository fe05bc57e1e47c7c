"""Paths of the room `processing`, under /api/v1/."""

from django.urls import path

from processing.api import views

urlpatterns = [
    path("uploads/<uuid:pk>/runs/", views.UploadRunsView.as_view(), name="api-upload-runs"),
    path("runs/", views.RunsView.as_view(), name="api-runs"),
    path("runs/<uuid:pk>/", views.RunView.as_view(), name="api-run"),
    path("runs/<uuid:pk>/cancel/", views.RunCancelView.as_view(), name="api-run-cancel"),
    path("runs/<uuid:pk>/retry/", views.RunRetryView.as_view(), name="api-run-retry"),
    path("runs/<uuid:pk>/trace/", views.RunTraceView.as_view(), name="api-run-trace"),
    path(
        "artifacts/<uuid:pk>/content/",
        views.ArtifactContentView.as_view(),
        name="api-artifact-content",
    ),
    path("pipelines/", views.PipelinesView.as_view(), name="api-pipelines"),
    path("pipelines/<slug:name>/", views.PipelineView.as_view(), name="api-pipeline"),
    path("stats/", views.StatsView.as_view(), name="api-stats"),
]
