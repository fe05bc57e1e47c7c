"""Paths of the room `uploads`, under /api/v1/."""

from django.urls import path

from uploads.api import reports, views
from uploads.tus.urls import urlpatterns as tus_urlpatterns

urlpatterns = [
    path("uploads/", views.UploadsView.as_view(), name="api-uploads"),
    path("uploads/<uuid:pk>/", views.UploadView.as_view(), name="api-upload"),
    path(
        "uploads/<uuid:pk>/content/", views.UploadContentView.as_view(), name="api-upload-content"
    ),
    path("uploads/<str:name>", views.UploadByNameView.as_view(), name="api-upload-by-name"),
    path("drop-reports/", reports.DropReportsView.as_view(), name="api-drop-reports"),
    path(
        "drop-reports/dismiss/",
        reports.DropReportsDismissView.as_view(),
        name="api-drop-reports-dismiss",
    ),
    path(
        "drop-reports/<uuid:pk>/dismiss/",
        reports.DropReportDismissView.as_view(),
        name="api-drop-report-dismiss",
    ),
    *tus_urlpatterns,
]
