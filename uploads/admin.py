"""Uploads and quotas in the admin. Administrators see that a file is there, not what it is."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from config.accounts.authentication import authenticated_user
from config.admin import ReadOnlyAdmin
from uploads.deletion import delete_upload
from uploads.erasures import Cause
from uploads.folder_models import FolderState, WatchedFolder
from uploads.key_models import Erasure
from uploads.models import Damage, Finding, IntakePolicy, Quota, Upload
from uploads.verdicts import release


class FindingInline(admin.TabularInline):
    """Why an upload is not simply fine."""

    model = Finding
    extra = 0
    can_delete = False
    fields = ["code", "action", "source", "found_at"]
    readonly_fields = ["code", "action", "source", "found_at"]

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """Uploads, without their names: those are sealed for their owners."""

    list_display = [
        "id",
        "owner",
        "size",
        "media_type",
        "door",
        "state",
        "verdict",
        "held",
        "created_at",
    ]
    list_filter = ["held", "verdict", "findings__code", "state", "door", "media_type"]
    list_select_related = ["owner"]
    inlines = [FindingInline]
    actions = ["release_held"]
    search_fields = ["id", "sha256", "owner__username"]
    exclude = ["sealed_name", "idempotency"]

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("uploads.release_upload")

    @admin.action(description="Release what is held", permissions=["release"])
    def release_held(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        by = authenticated_user(request)
        released = sum(release(upload, by=by) for upload in queryset.filter(held=True))
        messages.success(request, f"{released} released. Their owners may run them again.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say what goes; the rows made of an upload are nothing to ask about one by one."""
        allowed = self.has_delete_permission(request)
        return [str(upload.pk) for upload in objs], {}, set() if allowed else {"upload"}, []

    def delete_model(self, request: HttpRequest, obj: Upload) -> None:
        delete_upload(obj, cause=Cause(Erasure.Via.ADMIN, request.user.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        for upload in queryset:
            self.delete_model(request, upload)


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    """What was erased: ids and times, and nothing else is left to show."""

    list_display = ["subject_id", "kind", "owner_id", "via", "by_id", "erased_at", "done_at"]
    list_filter = ["kind", "via"]
    search_fields = ["subject_id", "owner_id"]


@admin.register(Damage)
class DamageAdmin(ReadOnlyAdmin):
    """Stored bytes that were found at fault."""

    list_display = ["blob_id", "upload_id", "part", "first_seen_at", "last_seen_at", "times"]


@admin.register(IntakePolicy)
class IntakePolicyAdmin(admin.ModelAdmin):
    """What is accepted, from whom, and what is done with what is found."""

    list_display = ["__str__", "user", "group", "rank", "required_checks", "not_checked"]
    list_select_related = ["user", "group"]
    autocomplete_fields = ["user", "group"]


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):
    """What each user may hold. Empty limits are the deployment's."""

    list_display = ["user", "used_bytes", "max_bytes", "used_files", "max_files"]
    list_select_related = ["user"]
    readonly_fields = ["used_bytes", "used_files"]
    autocomplete_fields = ["user"]


@admin.register(WatchedFolder)
class WatchedFolderAdmin(admin.ModelAdmin):
    """Drop folders besides those of the users."""

    list_display = ["path", "owner", "enabled", "pipeline", "label", "tags"]
    list_select_related = ["owner"]
    autocomplete_fields = ["owner"]


@admin.register(FolderState)
class FolderStateAdmin(ReadOnlyAdmin):
    """What the watcher said last of each drop folder."""

    list_display = ["key", "path", "owner", "polled", "problem", "seen_at"]
    list_filter = ["polled", "problem"]
    list_select_related = ["owner"]
