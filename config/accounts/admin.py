"""Users in the admin."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.http import HttpRequest
from django.utils.module_loading import import_string

from config.accounts.models import TokenFamily, User
from config.admin import ReadOnlyAdmin


@admin.register(User)
class UserAdmin(StockUserAdmin):
    """Users, their groups and rights."""

    list_display = ["username", "email", "is_active", "is_staff", "last_login"]
    actions = ["end_tokens"]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say who goes. Their files go with them, before anything could protect them."""
        allowed = self.has_delete_permission(request)
        names = [f"{user} with all files, keys first" for user in objs]
        return names, {}, set() if allowed else {"user"}, []

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[LogEntry]:  # noqa: ARG002
        """Keep no record but that of the erasure, which names nobody."""
        return []

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        import_string(settings.DELETE_USER)(obj, by=request.user.pk)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            self.delete_model(request, user)

    @admin.action(description="End all API tokens of the selected users")
    def end_tokens(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            user.end_tokens()
        self.message_user(request, "Every token of the selected users has ended.")


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    """Programs that have signed in."""

    list_display = ["user", "created_at", "refreshed_at", "ended_at", "ended_because"]
    list_filter = ["ended_because"]
    exclude = ["next_refresh"]
