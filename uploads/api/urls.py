"""Paths of the room `uploads`, under /api/v1/."""

from django.urls import path

from uploads.api import views

urlpatterns = [
    path("uploads/", views.UploadsView.as_view(), name="api-uploads"),
    path("uploads/<uuid:pk>/", views.UploadView.as_view(), name="api-upload"),
    path(
        "uploads/<uuid:pk>/content/", views.UploadContentView.as_view(), name="api-upload-content"
    ),
    path("uploads/<str:name>", views.UploadByNameView.as_view(), name="api-upload-by-name"),
]
