"""All paths. Rooms above are named by strings only: this room imports none of them."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import health
from config.accounts.authentication import SessionAuthentication

# Django's own admin sign-in knows no second factor: the one door for all is allauth's.
admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="api-schema",
            template_name="dashboard/api_docs.html",
            authentication_classes=[SessionAuthentication],  # for the colours; it is for everybody
        ),
        name="api-docs",
    ),
    path("api/v1/", include("config.accounts.urls")),
    path("api/v1/", include("config.events.urls")),
    path("api/v1/", include("uploads.api.urls")),
    path("api/v1/", include("processing.api.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("", include("dashboard.urls")),
]
