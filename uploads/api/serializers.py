"""How uploads look on the wire."""

from typing import Any, cast
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from uploads.models import Finding, Upload
from uploads.names import name_of, names_of


class UploadListSerializer(serializers.ListSerializer[Any]):
    """Unseals the names of a whole page at once."""

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        cast(UploadSerializer, self.child).names = names_of(rows)
        return super().to_representation(rows)


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """One reason why an upload is not simply fine; `source` is the check that found it."""

    class Meta:
        model = Finding
        fields = ["code", "action", "source"]
        read_only_fields = fields


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """One upload. `size` in bytes, `sha256` in hex, both of the file as it came in.

    `held`: its content leaves only with `accept_risk=true`.
    """

    names: dict[UUID, str] | None = None

    name = serializers.SerializerMethodField()
    run = serializers.UUIDField(source="run_id", allow_null=True, read_only=True)
    findings = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    parent = serializers.UUIDField(source="parent_id", allow_null=True, read_only=True)  # type: ignore[assignment]
    children_url = serializers.SerializerMethodField()

    class Meta:
        model = Upload
        list_serializer_class = UploadListSerializer
        fields = [
            "id",
            "name",
            "size",
            "sha256",
            "media_type",
            "declared_type",
            "door",
            "folder",
            "tags",
            "parent",
            "depth",
            "state",
            "verdict",
            "held",
            "findings",
            "run",
            "created_at",
            "content_url",
            "children_url",
        ]
        read_only_fields = fields

    def get_name(self, upload: Upload) -> str:
        name = self.names[upload.pk] if self.names else name_of(upload)
        # A name of a file system may hold bytes that are no text; JSON shows what it can.
        return name.encode("utf-8", "replace").decode()

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, upload: Upload) -> list[dict[str, str]]:
        found = upload.findings.all() if upload.found is None else upload.found
        return [{"code": f.code, "action": f.action, "source": f.source} for f in found]

    def get_tags(self, upload: Upload) -> list[str]:
        return upload.tag_list

    def get_children_url(self, upload: Upload) -> str:
        return f"{reverse('api-uploads')}?parent={upload.pk}"

    def get_content_url(self, upload: Upload) -> str:
        return reverse("api-upload-content", args=[upload.pk])


class UploadBodySerializer(serializers.Serializer[Any]):
    """A multipart upload, for the OpenAPI document: the body itself is read as it streams."""

    file = serializers.FileField()
    pipeline = serializers.CharField(required=False)
    folder = serializers.CharField(required=False)
    tags = serializers.CharField(required=False, help_text="With commas between them.")
