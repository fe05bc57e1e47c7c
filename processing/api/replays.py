"""Replays: many files once more, on another pipeline version."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from config.api import CursorPagination
from processing import definitions, replays
from processing.api.serializers import RunSerializer
from processing.models import Replay, ReplayItem, Run
from processing.replays import Selection


class NewReplaySerializer(serializers.Serializer[Any]):
    """On which version, and over which files: these, or all that are so."""

    pipeline = serializers.CharField(max_length=50)
    version = serializers.IntegerField(min_value=1)
    uploads = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=replays.MAX_FILES
    )
    shown_pipeline = serializers.CharField(
        required=False, max_length=50, help_text="Only files whose shown run is of this pipeline."
    )
    media_type = serializers.CharField(required=False, max_length=127)
    state = serializers.CharField(required=False, max_length=10)
    folder = serializers.CharField(required=False, max_length=100)
    tag = serializers.CharField(required=False, max_length=40)

    def selection(self) -> Selection:
        """Return which files are chosen."""
        said: Mapping[str, Any] = self.validated_data
        names = ("uploads", "media_type", "state", "folder", "tag")
        chosen = {name: said[name] for name in names if name in said}
        return Selection(pipeline=said.get("shown_pipeline", ""), **chosen)


class ReplaySerializer(serializers.ModelSerializer[Replay]):
    """One replay. `size` counts its files."""

    pipeline = serializers.CharField(source="version.pipeline.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = Replay
        fields = ["id", "pipeline", "version", "size", "selection", "created_at", "adopted_at"]
        read_only_fields = fields


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a replay is: `by_state` counts its runs, `by_outcome` its files."""

    by_state = serializers.DictField(child=serializers.IntegerField())
    by_outcome = serializers.DictField(child=serializers.IntegerField())
    is_over = serializers.BooleanField()


class ReplayDetailSerializer(ReplaySerializer):
    """One replay and how far it is."""

    progress = serializers.SerializerMethodField()

    class Meta(ReplaySerializer.Meta):
        fields = [*ReplaySerializer.Meta.fields, "progress"]
        read_only_fields = fields

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, replay: Replay) -> Any:
        return ProgressSerializer(replays.progress_of(replay)).data


class ReplayItemSerializer(serializers.ModelSerializer[ReplayItem]):
    """One file of a replay: `changes` names what differs, such as a step or its artifact."""

    upload = serializers.UUIDField(source="upload_id", read_only=True)
    before = RunSerializer(read_only=True, allow_null=True)
    run = RunSerializer(read_only=True)
    changes = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = ReplayItem
        fields = ["upload", "outcome", "changes", "before", "run"]


class DifferenceSerializer(serializers.Serializer[Any]):
    """One value that is another one now; null where there is none."""

    step = serializers.CharField()
    key = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class RunDifferencesSerializer(serializers.Serializer[Any]):
    """What a run made otherwise than an earlier one over the same file, `before`."""

    before = RunSerializer(allow_null=True)
    differences = DifferenceSerializer(many=True)


def replays_of(request: Request) -> QuerySet[Replay]:
    """Return the replays that the caller may see."""
    found = Replay.objects.owned_by(authenticated_user(request))
    return found.select_related("version__pipeline")


def items_of(replay: Replay) -> QuerySet[ReplayItem]:
    """Return the files of a replay with both runs."""
    return replay.items.select_related("run__version__pipeline", "before__version__pipeline")


class ReplaysView(generics.ListAPIView[Replay]):
    """All replays of the caller."""

    queryset = Replay.objects.none()  # names the model to the OpenAPI document
    serializer_class = ReplaySerializer

    def get_queryset(self) -> QuerySet[Replay]:
        return replays_of(self.request)

    @extend_schema(request=NewReplaySerializer, responses={202: ReplayDetailSerializer})
    def post(self, request: Request) -> Response:
        """Run files of the caller once more; they keep showing what they show."""
        body = NewReplaySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said, owner = body.validated_data, authenticated_user(request)
        version = definitions.named(said["pipeline"], said["version"], owner=owner)
        replay = replays.start_replay(owner=owner, version=version, selection=body.selection())
        location = {"Location": reverse("api-replay", args=[replay.pk])}
        answer = ReplayDetailSerializer(replay).data
        return Response(answer, status.HTTP_202_ACCEPTED, headers=location)


class ReplayView(APIView):
    """One replay."""

    @extend_schema(responses=ReplayDetailSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """Tell how far it is. What has ended is compared by then, a few hundred at a time."""
        replay = get_object_or_404(replays_of(request), pk=pk)
        replays.compare(replay)
        return Response(ReplayDetailSerializer(replay).data)


class ReplayItemFilter(filters.FilterSet):
    """What the files of a replay can be narrowed to."""

    class Meta:
        model = ReplayItem
        fields = ["outcome"]


class ReplayFilesView(generics.ListAPIView[ReplayItem]):
    """The files of one replay."""

    queryset = ReplayItem.objects.none()
    serializer_class = ReplayItemSerializer
    filterset_class = ReplayItemFilter
    pagination_class = CursorPagination

    def get_queryset(self) -> QuerySet[ReplayItem]:
        replay = get_object_or_404(replays_of(self.request), pk=self.kwargs["pk"])
        replays.compare(replay)
        return items_of(replay)


class RunDifferencesView(APIView):
    """What one run made otherwise."""

    @extend_schema(responses=RunDifferencesSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """Compare a run with the one that its file showed before, or else with the run before."""
        runs = Run.objects.owned_by(authenticated_user(request))
        run = get_object_or_404(runs.select_related("upload", "version__pipeline"), pk=pk)
        before = replays.run_before(run)
        found = {"before": before, "differences": replays.between(before, run)}
        return Response(RunDifferencesSerializer(found).data)


class ReplayAdoptView(APIView):
    """Take the new results."""

    @extend_schema(request=None, responses=ReplayDetailSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Let the files show the runs of this replay."""
        replay = get_object_or_404(replays_of(request), pk=pk)
        replays.adopt(replay)
        replay.refresh_from_db()
        return Response(ReplayDetailSerializer(replay).data)


class ReplayCancelView(APIView):
    """End a replay before its end."""

    @extend_schema(request=None, responses=ReplayDetailSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel its runs that have not ended."""
        replay = get_object_or_404(replays_of(request), pk=pk)
        replays.cancel_replay(replay)
        return Response(ReplayDetailSerializer(replay).data)
