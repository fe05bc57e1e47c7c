"""Runs, their traces and outputs; what can run; statistics."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, permissions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from config.edge import send_content
from config.idempotency.once import Keep, once
from config.schema import IDEMPOTENCY_KEY as KEY
from processing.api.serializers import (
    NewRunSerializer,
    PipelineDetailSerializer,
    PipelineSerializer,
    RunSerializer,
    StatsSerializer,
    StepRecordSerializer,
)
from processing.definitions import activate, version_of, versions_for, visible_to
from processing.models import Artifact, PipelineVersion, Run
from processing.runs import cancel_run, retry_run, start_run
from processing.stats import stats_of
from processing.traces import trace_of
from uploads.api.content import ACCEPT_RISK, accepts_risk, content_headers, plain_request
from uploads.models import Upload
from uploads.reading import open_blob
from uploads.verdicts import check_may_leave


def runs_of(request: Request) -> QuerySet[Run]:
    """Return the runs that the caller may see."""
    return Run.objects.owned_by(authenticated_user(request)).select_related("version__pipeline")


def pipelines_of(request: Request) -> QuerySet[PipelineVersion]:
    """Return the active versions that files of the caller may go through, by name."""
    user = authenticated_user(request)
    versions = versions_for(user).defer("definition", "source")
    return visible_to(user).prefetch_related(Prefetch("pipeline__versions", versions))


class RunFilter(filters.FilterSet):
    """What a list can be narrowed to."""

    upload = filters.UUIDFilter(field_name="upload_id")
    pipeline = filters.CharFilter(field_name="version__pipeline__name")

    class Meta:
        model = Run
        fields = ["state"]


class RunsView(generics.ListAPIView[Run]):
    """All runs of the caller."""

    queryset = Run.objects.none()  # names the model to the OpenAPI document
    serializer_class = RunSerializer
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Run]:
        return runs_of(self.request)


class RunView(generics.RetrieveAPIView[Run]):
    """One run."""

    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[Run]:
        return runs_of(self.request)


class UploadRunsView(APIView):
    """Runs over one upload."""

    @extend_schema(request=NewRunSerializer, parameters=[KEY], responses={202: RunSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Run again: another pipeline, another version, or from a later step."""
        owner = authenticated_user(request)
        upload = get_object_or_404(Upload.objects.owned_by(owner), pk=pk)
        body = NewRunSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        facts = [f"{name}={asked[name]}" for name in sorted(asked)]

        @transaction.atomic
        def make(keep: Keep) -> Run:
            run = start_run(upload=upload, **asked)
            keep(run.pk)
            return run

        def find(run_id: UUID) -> Run | None:
            return runs_of(request).filter(pk=run_id).first()

        run, headers = once(owner, request._request, *facts, make=make, find=find)
        return _accepted(run, headers)


def _accepted(run: Run, headers: dict[str, str]) -> Response:
    headers = {"Location": reverse("api-run", args=[run.pk]), **headers}
    return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED, headers=headers)


class RunCancelView(APIView):
    """End a run before its end."""

    @extend_schema(request=None, responses=RunSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel a run that is queued or running."""
        run = get_object_or_404(runs_of(request), pk=pk)
        cancel_run(run)
        run.refresh_from_db()
        return Response(RunSerializer(run).data)


class RunRetryView(APIView):
    """Give a run another chance."""

    @extend_schema(request=None, responses={202: RunSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Queue a failed or cancelled run again; finished steps are kept."""
        run = retry_run(get_object_or_404(runs_of(request), pk=pk))
        return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED)


class RunTraceView(APIView):
    """What happened in a run."""

    @extend_schema(responses=StepRecordSerializer(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the step records in order, attempts included."""
        run = get_object_or_404(runs_of(request), pk=pk)
        trace = StepRecordSerializer(trace_of(run), many=True)  # type: ignore[arg-type]
        return Response(trace.data)


class ArtifactContentView(APIView):
    """The bytes of an output."""

    @extend_schema(
        responses={(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY},
        parameters=[ACCEPT_RISK],
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Fetch an artifact, or a range of it; of a held file, only with `accept_risk=true`."""
        artifacts = Artifact.objects.filter(
            blob__upload__owner=authenticated_user(request)
        ).select_related("blob__upload")
        artifact = get_object_or_404(artifacts, pk=pk)
        if artifact.blob.upload is not None:
            check_may_leave(artifact.blob.upload, accept_risk=accepts_risk(request))
        headers = content_headers(
            media_type=artifact.media_type, name=artifact.name, sha256=artifact.sha256
        )
        return send_content(plain_request(request), open_blob(artifact.blob), headers=headers)

    @extend_schema(exclude=True)
    def head(self, request: Request, pk: UUID) -> HttpResponseBase:
        return self.get(request, pk)


class PipelinesView(generics.ListAPIView[PipelineVersion]):
    """What can run over the files of the caller, with its versions."""

    queryset = PipelineVersion.objects.none()  # names the model to the OpenAPI document
    serializer_class = PipelineSerializer
    pagination_class = None
    filter_backends = []

    def get_queryset(self) -> QuerySet[PipelineVersion]:
        return pipelines_of(self.request)


class PipelineView(generics.RetrieveAPIView[PipelineVersion]):
    """One pipeline."""

    queryset = PipelineVersion.objects.none()
    serializer_class = PipelineDetailSerializer
    lookup_field = "pipeline__name"
    lookup_url_kwarg = "name"

    def get_queryset(self) -> QuerySet[PipelineVersion]:
        return pipelines_of(self.request)


class VersionSerializer(serializers.Serializer[Any]):
    """The number of a version."""

    version = serializers.IntegerField(min_value=1)


class MayChangePipelines(permissions.BasePermission):
    """Which version new files take is for those who may change pipelines."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
        return authenticated_user(request).has_perm("processing.change_pipeline")


class PipelineActivateView(APIView):
    """Which version new files take."""

    permission_classes = [permissions.IsAuthenticated, MayChangePipelines]

    @extend_schema(request=VersionSerializer, responses=PipelineDetailSerializer)
    def post(self, request: Request, name: str) -> Response:
        """Promote a version; needs the permission to change pipelines."""
        body = VersionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        active = get_object_or_404(pipelines_of(request), pipeline__name=name)
        activate(version_of(active.pipeline, body.validated_data["version"]))
        promoted = get_object_or_404(pipelines_of(request), pipeline__name=name)
        return Response(PipelineDetailSerializer(promoted).data)


class StatsView(APIView):
    """Counts, rates, steps and errors of the caller."""

    @extend_schema(responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        """Return statistics; those of steps are over the last seven days."""
        return Response(StatsSerializer(stats_of(authenticated_user(request))).data)
