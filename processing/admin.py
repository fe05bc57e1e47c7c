"""Pipelines, runs and step records in the admin."""

from typing import Any, cast

from django import forms
from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.accounts.models import User
from config.admin import ReadOnlyAdmin
from processing import definitions
from processing.definitions import source_of
from processing.models import Origin, Pipeline, PipelineVersion, Run, StepRecord, Worker
from processing.pipelines import InvalidPipeline, read_source

# The queue's own pages would unpickle what is stored; its rows are bells, the truth is the ledger.
for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class PipelineForm(forms.ModelForm):
    """A pipeline with the YAML of its active version."""

    source = forms.CharField(
        label="YAML",
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 24, "cols": 100, "spellcheck": "false", "class": "vLargeTextField"}
        ),
        help_text="A change is saved as the next version; versions themselves never change.",
    )
    activate = forms.BooleanField(required=False, label="New runs take what is written here")

    class Meta:
        model = Pipeline
        fields = ["enabled", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.active is not None:
            self.fields["source"].initial = source_of(self.instance.active)
        if self.instance.pk is None:
            self.fields["source"].required = True

    def clean_source(self) -> str:
        """Refuse what is no pipeline, with every mistake; an empty text changes nothing."""
        text = str(self.cleaned_data["source"]).replace("\r\n", "\n")
        if not text.strip():
            return ""
        try:
            definition = read_source(text)
        except InvalidPipeline as error:
            raise forms.ValidationError([str(mistake) for mistake in error.mistakes]) from None
        name = definition.name
        if self.instance.pk is None and Pipeline.objects.filter(name=name).exists():
            raise forms.ValidationError(
                f"name: there is a pipeline {name!r} already. Open it to write its next version."
            )
        if self.instance.pk is not None and self.instance.name != name:
            raise forms.ValidationError(f"name: must be {self.instance.name!r}: names stay.")
        return text


class VersionInline(admin.TabularInline):
    """Versions never change."""

    model = PipelineVersion
    fields = ["number", "origin", "author", "created_at", "written"]
    readonly_fields = ["number", "origin", "author", "created_at", "written"]
    extra = 0
    can_delete = False
    ordering = ["-number"]

    @admin.display(description="YAML")
    def written(self, version: PipelineVersion) -> SafeString:
        return format_html("<pre>{}</pre>", source_of(version))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Pipeline)
class PipelineAdmin(admin.ModelAdmin):
    """Which pipelines run, in which version. What is written anew becomes the next version."""

    form = PipelineForm
    list_display = ["name", "title", "enabled", "active"]
    list_select_related = ["active__pipeline"]
    inlines = [VersionInline]

    def get_fieldsets(self, request: HttpRequest, obj: Pipeline | None = None) -> Any:  # noqa: ARG002
        write: tuple[str, Any] = (
            "Definition",
            {"fields": ["source"] if obj is None else ["source", "activate"]},
        )
        if obj is None:
            return [write]
        return [(None, {"fields": ["name", "title", "enabled", "active"]}), write]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return ["name", "title"] if obj else []

    def get_inlines(self, request: HttpRequest, obj: Pipeline | None) -> Any:  # noqa: ARG002
        return self.inlines if obj else []

    def save_model(self, request: HttpRequest, obj: Pipeline, form: Any, change: bool) -> None:
        if change:
            Pipeline.objects.filter(pk=obj.pk).update(enabled=obj.enabled)
            if "active" in form.changed_data and obj.active is not None:
                definitions.activate(obj.active)
        if text := form.cleaned_data["source"]:
            version = definitions.import_source(
                text,
                origin=Origin.ADMIN,
                author=cast(User, request.user),
                active=form.cleaned_data.get("activate", False),
            )
            obj.pk = version.pipeline_id
        obj.refresh_from_db()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "active" and request.resolver_match:
            pipeline_id = request.resolver_match.kwargs["object_id"]
            versions = PipelineVersion.objects.filter(pipeline_id=pipeline_id)
            kwargs["queryset"] = versions.select_related("pipeline")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

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
