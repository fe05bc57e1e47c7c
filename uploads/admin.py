"""Uploads and quotas in the admin. Administrators see that a file is there, not what it is."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from uploads.models import Quota, Upload


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """Uploads, without their names: those are sealed for their owners."""

    list_display = ["id", "owner", "size", "media_type", "door", "state", "created_at"]
    list_filter = ["state", "door", "media_type"]
    list_select_related = ["owner"]
    search_fields = ["id", "sha256", "owner__username"]
    exclude = ["sealed_name", "idempotency"]


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):
    """What each user may hold. Empty limits are the deployment's."""

    list_display = ["user", "used_bytes", "max_bytes", "used_files", "max_files"]
    list_select_related = ["user"]
    readonly_fields = ["used_bytes", "used_files"]
    autocomplete_fields = ["user"]
