"""How runs, traces, pipelines and statistics look on the wire."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from processing.models import Artifact, Pipeline, Run, StepState
from processing.traces import StepView


class RunSerializer(serializers.ModelSerializer[Run]):
    """One run. `attempt` counts claims; `duration_ms` is from start to end."""

    pipeline = serializers.CharField(source="version.pipeline.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    upload = serializers.UUIDField(source="upload_id", read_only=True)
    duration_ms = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "id",
            "upload",
            "pipeline",
            "version",
            "state",
            "attempt",
            "from_step",
            "error_code",
            "error_detail",
            "created_at",
            "started_at",
            "ended_at",
            "duration_ms",
        ]
        read_only_fields = fields

    def get_duration_ms(self, run: Run) -> float | None:
        if run.started_at is None or run.ended_at is None:
            return None
        return (run.ended_at - run.started_at).total_seconds() * 1000


class NewRunSerializer(serializers.Serializer[Any]):
    """What to run: by default, the pipeline that the media type chooses, from its beginning."""

    pipeline = serializers.CharField(required=False, max_length=50)
    version = serializers.IntegerField(required=False, min_value=1)
    from_step = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """An output of a step. `size` in bytes, `sha256` in hex."""

    content_url = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ["id", "name", "media_type", "size", "sha256", "content_url"]

    def get_content_url(self, artifact: Artifact) -> str:
        return reverse("api-artifact-content", args=[artifact.pk])


class StepRecordSerializer(serializers.Serializer[StepView]):
    """One attempt at one step, or the note that it was skipped and why (`caused_by`)."""

    step = serializers.CharField(source="record.step")
    position = serializers.IntegerField(source="record.position")
    attempt = serializers.IntegerField(source="record.attempt")
    state = serializers.ChoiceField(choices=StepState.choices, source="record.state")
    started_at = serializers.DateTimeField(source="record.started_at")
    ended_at = serializers.DateTimeField(source="record.ended_at", allow_null=True)
    duration_ms = serializers.FloatField(source="record.duration_ms", allow_null=True)
    cpu_ms = serializers.FloatField(source="record.cpu_ms", allow_null=True)
    max_rss_bytes = serializers.IntegerField(source="record.max_rss_bytes", allow_null=True)
    bytes_in = serializers.IntegerField(source="record.bytes_in", allow_null=True)
    bytes_out = serializers.IntegerField(source="record.bytes_out", allow_null=True)
    error_code = serializers.CharField(source="record.error_code", allow_blank=True)
    error_detail = serializers.CharField(source="record.error_detail", allow_blank=True)
    caused_by = serializers.CharField(source="record.caused_by", allow_blank=True)
    output = serializers.JSONField(allow_null=True)
    artifacts = ArtifactSerializer(many=True)


class PipelineSerializer(serializers.ModelSerializer[Pipeline]):
    """What can run, in its active version."""

    version = serializers.IntegerField(source="active.number", read_only=True)
    media_types = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()

    class Meta:
        model = Pipeline
        fields = ["name", "title", "version", "media_types", "steps"]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_media_types(self, pipeline: Pipeline) -> list[str]:
        return list(pipeline.active.definition["media_types"]) if pipeline.active else []

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_steps(self, pipeline: Pipeline) -> list[str]:
        steps = pipeline.active.definition["steps"] if pipeline.active else []
        return [step["name"] for step in steps]


class StepStatsSerializer(serializers.Serializer[Any]):
    """One step over the last seven days; times in milliseconds."""

    step = serializers.CharField()
    count = serializers.IntegerField()
    failed = serializers.IntegerField()
    mean_ms = serializers.FloatField()
    p95_ms = serializers.FloatField()


class RunErrorSerializer(serializers.Serializer[Run]):
    """A run that failed, and why."""

    run = serializers.UUIDField(source="pk")
    upload = serializers.UUIDField(source="upload_id")
    pipeline = serializers.CharField(source="version.pipeline.name")
    error_code = serializers.CharField()
    error_detail = serializers.CharField()
    ended_at = serializers.DateTimeField()


class StatsSerializer(serializers.Serializer[Any]):
    """Statistics of the caller."""

    uploads = serializers.IntegerField()
    bytes = serializers.IntegerField()
    by_state = serializers.DictField(child=serializers.IntegerField())
    ended_last_hour = serializers.IntegerField()
    ended_last_day = serializers.IntegerField()
    failed_last_day = serializers.IntegerField()
    steps = StepStatsSerializer(many=True)
    errors = RunErrorSerializer(many=True)  # type: ignore[assignment]
