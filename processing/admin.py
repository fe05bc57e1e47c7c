"""Pipelines, runs and step records in the admin."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin
from processing.models import Pipeline, PipelineVersion, Run, StepRecord, Worker

# The queue's own pages would unpickle what is stored; its rows are bells, the truth is the ledger.
for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class VersionInline(admin.TabularInline):
    """Versions never change."""

    model = PipelineVersion
    fields = ["number", "digest", "created_at", "definition"]
    readonly_fields = ["number", "digest", "created_at", "definition"]
    extra = 0
    can_delete = False
    ordering = ["-number"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Pipeline)
class PipelineAdmin(admin.ModelAdmin):
    """Which pipelines run, in which version."""

    list_display = ["name", "title", "enabled", "active"]
    list_select_related = ["active__pipeline"]
    readonly_fields = ["name"]
    inlines = [VersionInline]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "active" and request.resolver_match:
            pipeline_id = request.resolver_match.kwargs["object_id"]
            kwargs["queryset"] = PipelineVersion.objects.filter(pipeline_id=pipeline_id)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs of all users."""

    list_display = ["id", "owner", "version", "state", "attempt", "error_code", "created_at"]
    list_filter = ["state", "version__pipeline", "error_code"]
    list_select_related = ["owner", "version__pipeline"]
    search_fields = ["id", "upload__id", "owner__username"]


@admin.register(StepRecord)
class StepRecordAdmin(ReadOnlyAdmin):
    """Step records of all users, without their results: those are sealed for their owners."""

    list_display = ["id", "run", "step", "attempt", "state", "duration_ms", "error_code"]
    list_filter = ["state", "step", "error_code"]
    search_fields = ["id", "run__id"]
    exclude = ["sealed_output"]


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Workers that have shown a sign of life."""

    list_display = ["name", "seen_at"]
