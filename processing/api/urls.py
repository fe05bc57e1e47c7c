"""Paths of the room `processing`, under /api/v1/."""

from django.urls import path

from processing.api import replays, views, webhooks

urlpatterns = [
    path("uploads/<uuid:pk>/runs/", views.UploadRunsView.as_view(), name="api-upload-runs"),
    path("runs/", views.RunsView.as_view(), name="api-runs"),
    path("runs/<uuid:pk>/", views.RunView.as_view(), name="api-run"),
    path("runs/<uuid:pk>/cancel/", views.RunCancelView.as_view(), name="api-run-cancel"),
    path("runs/<uuid:pk>/retry/", views.RunRetryView.as_view(), name="api-run-retry"),
    path(
        "runs/<uuid:pk>/differences/",
        replays.RunDifferencesView.as_view(),
        name="api-run-differences",
    ),
    path("runs/<uuid:pk>/trace/", views.RunTraceView.as_view(), name="api-run-trace"),
    path(
        "artifacts/<uuid:pk>/content/",
        views.ArtifactContentView.as_view(),
        name="api-artifact-content",
    ),
    path("pipelines/", views.PipelinesView.as_view(), name="api-pipelines"),
    path("pipelines/<slug:name>/", views.PipelineView.as_view(), name="api-pipeline"),
    path(
        "pipelines/<slug:name>/activate/",
        views.PipelineActivateView.as_view(),
        name="api-pipeline-activate",
    ),
    path("replays/", replays.ReplaysView.as_view(), name="api-replays"),
    path("replays/<uuid:pk>/", replays.ReplayView.as_view(), name="api-replay"),
    path("replays/<uuid:pk>/files/", replays.ReplayFilesView.as_view(), name="api-replay-files"),
    path("replays/<uuid:pk>/adopt/", replays.ReplayAdoptView.as_view(), name="api-replay-adopt"),
    path("replays/<uuid:pk>/cancel/", replays.ReplayCancelView.as_view(), name="api-replay-cancel"),
    path("webhooks/", webhooks.WebhooksView.as_view(), name="api-webhooks"),
    path("webhooks/<uuid:pk>/", webhooks.WebhookView.as_view(), name="api-webhook"),
    path(
        "webhooks/<uuid:pk>/rotate/",
        webhooks.WebhookRotateView.as_view(),
        name="api-webhook-rotate",
    ),
    path("webhooks/<uuid:pk>/test/", webhooks.WebhookTestView.as_view(), name="api-webhook-test"),
    path(
        "webhooks/<uuid:pk>/deliveries/",
        webhooks.WebhookDeliveriesView.as_view(),
        name="api-webhook-deliveries",
    ),
    path("deliveries/<uuid:pk>/", webhooks.DeliveryView.as_view(), name="api-delivery"),
    path(
        "deliveries/<uuid:pk>/resend/",
        webhooks.DeliveryResendView.as_view(),
        name="api-delivery-resend",
    ),
    path("stats/", views.StatsView.as_view(), name="api-stats"),
]
