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

RIGHTS = ("is_superuser", "is_staff", "groups", "user_permissions")


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

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Rights are given by those who have all of them: nobody raises themselves."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    @admin.action(description="Sign the selected users out everywhere", permissions=["change"])
    def end_tokens(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            if _may_touch(request, user):
                user.end_tokens()
        self.message_user(request, "Their sessions and tokens have ended.")


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    """A superuser is changed by superusers alone, the password included."""
    return user is None or not user.is_superuser or request.user.is_superuser


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    """Programs that have signed in."""

    list_display = ["user", "created_at", "refreshed_at", "ended_at", "ended_because"]
    list_filter = ["ended_because"]
    exclude = ["next_refresh"]
