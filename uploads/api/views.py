"""The HTTP doors: hand in, list, look at, fetch, delete."""

from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import http_date, parse_etags, parse_header_parameters
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from config.api import MomentFilter
from config.edge import send_content
from config.edge.errors import PreconditionFailed
from config.schema import IDEMPOTENCY_KEY as KEY
from uploads import search
from uploads.api.content import ACCEPT_RISK, accepts_risk, content_headers, plain_request
from uploads.api.digests import HEADERS, declared_sha256
from uploads.api.receivers import MultipartReceiver, RawReceiver, Said
from uploads.api.repeating import Answer, Incoming, Open, receive_once
from uploads.api.serializers import UploadBodySerializer, UploadSerializer
from uploads.deletion import delete_upload
from uploads.erasures import Cause
from uploads.errors import NotMultipart
from uploads.intake import Offer
from uploads.key_models import Erasure
from uploads.models import Door, Upload
from uploads.names import name_of
from uploads.reading import open_content
from uploads.verdicts import check_may_leave

DIGESTS = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description="Of the body (RFC 9530).")
    for name in HEADERS
]


class UploadFilter(filters.FilterSet):
    """What a list can be narrowed to."""

    created_after = MomentFilter(field_name="created_at", lookup_expr="gt")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    finding = filters.CharFilter(field_name="findings__code", distinct=True)
    tag = filters.CharFilter(method="tagged")
    search = filters.CharFilter(
        method="found_by", max_length=500, help_text="Words that the content has, all of them."
    )
    parent = filters.UUIDFilter(field_name="parent_id")
    family = filters.UUIDFilter(field_name="root_id")

    class Meta:
        model = Upload
        fields = ["state", "verdict", "held", "media_type", "door", "folder", "sha256"]

    def tagged(self, found: QuerySet[Upload], _: str, tag: str) -> QuerySet[Upload]:
        """Keep what has a tag."""
        return found.filter(tags__contains=f" {tag} ")

    def found_by(self, found: QuerySet[Upload], _: str, question: str) -> QuerySet[Upload]:
        """Keep what has all words of a question."""
        owner = authenticated_user(self.request)
        return search.having(found, owner_id=owner.pk, question=question)


class Streamed(BaseParser):
    """Any content type: the body is read by the edge, not by the framework."""

    media_type = "*/*"


class MultipartBody(Streamed):
    """For the OpenAPI document."""

    media_type = "multipart/form-data"


class RawBody(Streamed):
    """For the OpenAPI document."""

    media_type = "application/octet-stream"


class UploadsView(generics.ListAPIView[Upload]):
    """All uploads of the caller; the door for multipart."""

    receives = frozenset({"POST"})
    queryset = Upload.objects.none()  # names the model to the OpenAPI document
    serializer_class = UploadSerializer
    filterset_class = UploadFilter
    parser_classes = [MultipartBody]

    def get_queryset(self) -> QuerySet[Upload]:
        uploads = Upload.objects.owned_by(authenticated_user(self.request))
        return uploads.prefetch_related("findings")

    @extend_schema(
        request=UploadBodySerializer,
        parameters=[*DIGESTS, KEY],
        responses={201: UploadSerializer},
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Hand in a file: field `file`; `pipeline`, `folder`, `tags` before or after it."""
        kind, parameters = parse_header_parameters(request.META.get("CONTENT_TYPE", ""))
        if kind != "multipart/form-data" or not parameters.get("boundary"):
            raise NotMultipart

        owner = authenticated_user(request)
        sha256 = declared_sha256(request.headers.get)

        def receiver(open_file: Open, answer: Answer) -> MultipartReceiver:
            def begin(*, name: str, declared_type: str, said: Said) -> Incoming:
                offer = Offer(
                    owner=owner,
                    name=name,
                    declared_type=declared_type,
                    door=_door(request),
                    pipeline=said.pipeline,
                    folder=said.folder,
                    tags=said.tags,
                )
                return open_file(offer)

            return MultipartReceiver(parameters["boundary"], begin, answer, sha256=sha256)

        return receive_once(request, owner, receiver, _created)


class UploadByNameView(APIView):
    """The door for raw bodies."""

    receives = frozenset({"PUT"})
    parser_classes = [RawBody]

    @extend_schema(
        request={"*/*": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter("pipeline", str),
            OpenApiParameter("folder", str),
            OpenApiParameter("tags", str, description="With commas between them."),
            *DIGESTS,
            KEY,
        ],
        responses={201: UploadSerializer},
    )
    def put(self, request: Request, name: str) -> HttpResponseBase:
        """Hand in a file: the body is its content. Without a key, every call makes a new upload."""
        declared = request.META.get("CONTENT_LENGTH") or None
        said = Said.by(request.query_params)
        offer = Offer(
            owner=authenticated_user(request),
            name=name,
            declared_type=request.META.get("CONTENT_TYPE", ""),
            door=_door(request),
            pipeline=said.pipeline,
            folder=said.folder,
            tags=said.tags,
            size=int(declared) if declared else None,
        )
        digest = declared_sha256(request.headers.get)

        def receiver(open_file: Open, answer: Answer) -> RawReceiver:
            return RawReceiver(open_file(offer), answer, sha256=digest)

        return receive_once(request, offer.owner, receiver, _created)


class UploadView(generics.RetrieveDestroyAPIView[Upload]):
    """One upload."""

    serializer_class = UploadSerializer

    def get_queryset(self) -> QuerySet[Upload]:
        return Upload.objects.owned_by(authenticated_user(self.request))

    @extend_schema(parameters=[OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)])
    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete it, with its runs and results. `If-Match` takes the `ETag` of its content."""
        return super().delete(request, *args, **kwargs)

    def perform_destroy(self, instance: Upload) -> None:
        required = parse_etags(self.request.headers.get("If-Match", "*"))
        if required != ["*"] and f'"{instance.sha256}"' not in required:
            raise PreconditionFailed
        delete_upload(instance, cause=Cause(Erasure.Via.OWNER, instance.owner_id))


class UploadContentView(APIView):
    """The file itself."""

    @extend_schema(
        responses={
            (200, "*/*"): OpenApiTypes.BINARY,
            (206, "*/*"): OpenApiTypes.BINARY,
            416: OpenApiResponse(description="The range lies outside the file."),
        },
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER), ACCEPT_RISK],
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Fetch the file, or a range of it. One that is held: only with `accept_risk=true`."""
        uploads = Upload.objects.owned_by(authenticated_user(request))
        upload = get_object_or_404(uploads, pk=pk)
        check_may_leave(upload, accept_risk=accepts_risk(request))
        headers = content_headers(
            media_type=upload.media_type, name=name_of(upload), sha256=upload.sha256
        )
        headers["Last-Modified"] = http_date(upload.created_at.timestamp())
        return send_content(plain_request(request), open_content(upload), headers=headers)

    @extend_schema(exclude=True)
    def head(self, request: Request, pk: UUID) -> HttpResponseBase:
        return self.get(request, pk)


def _created(upload: Upload) -> HttpResponse:
    body = JSONRenderer().render(_wire_form().to_representation(upload))
    location = reverse("api-upload", args=[upload.pk])
    return HttpResponse(
        body,
        status=status.HTTP_201_CREATED,
        content_type="application/json",
        headers={"Location": location},
    )


@cache
def _wire_form() -> UploadSerializer:
    """Return the serializer of all answers: making its fields takes longer than using them."""
    return UploadSerializer()


def _door(request: Request) -> Door:
    """A browser signs in with a session, a program with a token."""
    return Door.WEB if request.auth is None else Door.API
