"""Users in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.http import HttpRequest

from config.accounts.models import TokenFamily, User
from config.admin import ReadOnlyAdmin


@admin.register(User)
class UserAdmin(StockUserAdmin):
    """Users, their groups and rights."""

    list_display = ["username", "email", "is_active", "is_staff", "last_login"]
    actions = ["end_tokens"]

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
