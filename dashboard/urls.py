"""Paths of the pages."""

from django.urls import path

from dashboard import pipeline_views, views, webhook_views

urlpatterns = [
    path("", views.inbox, name="home"),
    path("files.csv", views.files_csv, name="files-csv"),
    path("pipelines/", pipeline_views.pipelines, name="pipelines"),
    path("pipelines/<slug:name>/", pipeline_views.pipeline, name="pipeline"),
    path(
        "pipelines/<slug:name>/activate/",
        pipeline_views.pipeline_activate,
        name="pipeline-activate",
    ),
    path("pipelines/<slug:name>/replay/", pipeline_views.replay_start, name="replay-start"),
    path("replays/", pipeline_views.replays_list, name="replays"),
    path("replays/<uuid:pk>/", pipeline_views.replay, name="replay"),
    path("replays/<uuid:pk>/adopt/", pipeline_views.replay_adopt, name="replay-adopt"),
    path("replays/<uuid:pk>/cancel/", pipeline_views.replay_cancel, name="replay-cancel"),
    path("runs/<uuid:pk>/differences/", pipeline_views.run_differences, name="run-differences"),
    path("reports/dismiss/", views.reports_dismiss, name="reports-dismiss"),
    path("reports/<uuid:pk>/dismiss/", views.report_dismiss, name="report-dismiss"),
    path("stats/", views.stats, name="stats"),
    path("status/", views.status, name="status"),
    path("uploads/<uuid:pk>/", views.upload, name="upload"),
    path("uploads/<uuid:pk>/run/", views.upload_run, name="upload-run"),
    path("uploads/<uuid:pk>/fetch/", views.upload_fetch, name="upload-fetch"),
    path("uploads/<uuid:pk>/delete/", views.upload_delete, name="upload-delete"),
    path("runs/", views.runs_list, name="runs"),
    path("runs.csv", views.runs_csv, name="runs-csv"),
    path("runs/<uuid:pk>/", views.run, name="run"),
    path("runs/<uuid:pk>/cancel/", views.run_cancel, name="run-cancel"),
    path("runs/<uuid:pk>/retry/", views.run_retry, name="run-retry"),
    path("webhooks/", webhook_views.webhooks, name="webhooks"),
    path("webhooks/new/", webhook_views.webhook_new, name="webhook-new"),
    path("webhooks/<uuid:pk>/", webhook_views.webhook, name="webhook"),
    path("webhooks/<uuid:pk>/change/", webhook_views.webhook_change, name="webhook-change"),
    path("webhooks/<uuid:pk>/switch/", webhook_views.webhook_switch, name="webhook-switch"),
    path("webhooks/<uuid:pk>/rotate/", webhook_views.webhook_rotate, name="webhook-rotate"),
    path("webhooks/<uuid:pk>/test/", webhook_views.webhook_test, name="webhook-test"),
    path("webhooks/<uuid:pk>/delete/", webhook_views.webhook_delete, name="webhook-delete"),
    path("deliveries/<uuid:pk>/", webhook_views.delivery, name="delivery"),
    path("deliveries/<uuid:pk>/resend/", webhook_views.delivery_resend, name="delivery-resend"),
    path("account/", views.account, name="account"),
    path("account/theme/", views.account_theme, name="account-theme"),
    path("account/clock/", views.account_clock, name="account-clock"),
]
