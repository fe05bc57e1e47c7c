"""How runs, traces, pipelines and statistics look on the wire."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from processing.definitions import definition_of
from processing.models import Artifact, PipelineVersion, Run, StepState
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
    kind = serializers.CharField(source="record.kind", allow_blank=True)
    queue_ms = serializers.FloatField(source="record.queue_ms", allow_null=True)
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


class PipelineVersionSerializer(serializers.ModelSerializer[PipelineVersion]):
    """One version. `digest` tells definitions apart; `origin` says where it came from."""

    is_active = serializers.SerializerMethodField()

    class Meta:
        model = PipelineVersion
        fields = ["number", "digest", "origin", "created_at", "is_active"]

    def get_is_active(self, version: PipelineVersion) -> bool:
        return version.pk == version.pipeline.active_id


class StepUseSerializer(serializers.Serializer[Any]):
    """One step at its place. `needs` are the names of those that it waits for."""

    name = serializers.CharField()
    step = serializers.CharField()
    needs = serializers.ListField(child=serializers.CharField())
    when = serializers.CharField(allow_blank=True)
    settings = serializers.DictField()
    timeout_s = serializers.FloatField(allow_null=True)
    max_attempts = serializers.IntegerField()


class PipelineSerializer(serializers.ModelSerializer[PipelineVersion]):
    """What can run, in its active version; `steps` are names, in the order in which they run."""

    name = serializers.CharField(source="pipeline.name", read_only=True)
    title = serializers.CharField(source="pipeline.title", read_only=True)
    version = serializers.IntegerField(source="number", read_only=True)
    media_types = serializers.SerializerMethodField()
    folders = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()
    versions = PipelineVersionSerializer(source="pipeline.versions", many=True, read_only=True)

    class Meta:
        model = PipelineVersion
        fields = [
            "name", "title", "version", "media_types", "folders", "tags", "steps", "versions",
        ]  # fmt: skip

    def get_media_types(self, version: PipelineVersion) -> list[str]:
        return list(definition_of(version).media_types)

    def get_folders(self, version: PipelineVersion) -> list[str]:
        return list(definition_of(version).folders)

    def get_tags(self, version: PipelineVersion) -> list[str]:
        return list(definition_of(version).tags)

    def get_steps(self, version: PipelineVersion) -> list[str]:
        definition = definition_of(version)
        return [definition.steps[place].name for place in definition.graph.order]


class PipelineDetailSerializer(PipelineSerializer):
    """What can run, with its graph; `graph` has the steps in the order in which they run."""

    graph = serializers.SerializerMethodField()

    class Meta(PipelineSerializer.Meta):
        fields = [*PipelineSerializer.Meta.fields, "graph"]

    @extend_schema_field(StepUseSerializer(many=True))
    def get_graph(self, version: PipelineVersion) -> list[dict[str, Any]]:
        definition = definition_of(version)
        names = [use.name for use in definition.steps]
        return [
            {
                **definition.steps[place].to_data(),
                "needs": [names[need] for need in definition.graph.needs[place]],
                "when": definition.steps[place].when,
            }
            for place in definition.graph.order
        ]


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
