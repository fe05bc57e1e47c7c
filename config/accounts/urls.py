"""Paths by which programs sign in and out, under /api/v1/."""

from django.urls import path

from config.accounts import views

urlpatterns = [
    path("token/", views.TokenView.as_view(), name="api-token"),
    path("token/refresh/", views.RefreshView.as_view(), name="api-token-refresh"),
    path("token/revoke/", views.RevokeView.as_view(), name="api-token-revoke"),
]
