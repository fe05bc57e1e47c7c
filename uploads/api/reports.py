"""What was not taken from the caller's drop folders: read, and dismissed."""

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from uploads.drop_reports import dismiss, names_of, not_dismissed
from uploads.folder_models import DropReport


class DropReportListSerializer(serializers.ListSerializer[Any]):
    """Unseals the names of a whole page at once."""

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        owner = authenticated_user(self.context["request"])
        cast(DropReportSerializer, self.child).names = names_of(owner, rows)
        return super().to_representation(rows)


class DropReportSerializer(serializers.ModelSerializer[DropReport]):
    """One thing that was not taken, and why: `code` and `detail` are those of a refusal.

    `kept_until`: so long the original lies in `failed/`; null where it was left or is gone.
    """

    names: dict[UUID, str]

    name = serializers.SerializerMethodField()

    class Meta:
        model = DropReport
        list_serializer_class = DropReportListSerializer
        fields = ["id", "name", "code", "detail", "kept_until", "created_at"]
        read_only_fields = fields

    def get_name(self, report: DropReport) -> str:
        return self.names[report.pk].encode("utf-8", "replace").decode()


class DropReportsView(generics.ListAPIView[DropReport]):
    """What was not taken from drop folders of the caller, and was not dismissed."""

    queryset = DropReport.objects.none()  # names the model to the OpenAPI document
    serializer_class = DropReportSerializer
    filterset_fields = ["code"]

    def get_queryset(self) -> QuerySet[DropReport]:
        return not_dismissed(authenticated_user(self.request))


class DropReportsDismissView(APIView):
    """All of them."""

    @extend_schema(operation_id="drop_reports_dismiss_all", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Show none of the reports any more."""
        dismiss(authenticated_user(request), None)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DropReportDismissView(APIView):
    """One of them."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, pk: UUID) -> Response:
        """Show a report no more. The same thing in the same state is not reported again."""
        if not dismiss(authenticated_user(request), pk):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)
