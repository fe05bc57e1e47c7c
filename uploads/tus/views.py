"""The door for tus clients: requests to calls, outcomes to headers."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import (
    SessionAuthentication,
    TokenAuthentication,
    authenticated_user,
)
from config.accounts.errors import TokenInvalid
from config.accounts.models import User
from config.edge import receive_body
from config.idempotency.keys import REPLAYED
from config.schema import IDEMPOTENCY_KEY
from uploads.models import Door, Upload, UploadSession
from uploads.policy import policy
from uploads.tus import sessions
from uploads.tus.errors import (
    ContentTypeInvalid,
    ExtensionUnsupported,
    LengthExceeded,
    OffsetMismatch,
    ProtocolVersionUnsupported,
)
from uploads.tus.protocol import (
    ALGORITHMS,
    CONTENT_TYPE,
    EXTENSIONS,
    VERSION,
    check_version,
    parse_checksum,
    parse_length,
    parse_offset,
)
from uploads.tus.receiver import open_receiver
from uploads.tus.repeating import create_once

RESUMABLE = OpenApiParameter("Tus-Resumable", str, OpenApiParameter.HEADER, required=True)
OFFSET = OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER, required=True)
LENGTH = OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER, required=True)
METADATA = OpenApiParameter("Upload-Metadata", str, OpenApiParameter.HEADER)
CHECKSUM = OpenApiParameter("Upload-Checksum", str, OpenApiParameter.HEADER)
BODY = {CONTENT_TYPE: OpenApiTypes.BINARY}


class Chunk(BaseParser):
    """For the OpenAPI document: the body is read by the edge."""

    media_type = CONTENT_TYPE


class LenientTokenAuthentication(TokenAuthentication):
    """A token that has expired says nothing, where the address alone authorises."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except TokenInvalid:
            return None


class TusView(APIView):
    """What all requests of the protocol share."""

    parser_classes = [Chunk]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        override = request.headers.get("X-HTTP-Method-Override")
        if override is not None:
            request.method = override.upper()
        response = super().dispatch(request, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        if response.status_code == ProtocolVersionUnsupported.status:
            response["Tus-Version"] = VERSION
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS":
            check_version(request.headers.get("Tus-Resumable"))
        super().initial(request, *args, **kwargs)

    @extend_schema(
        responses={204: OpenApiResponse(description="What this server offers, in its headers.")}
    )
    def options(self, request: Any, *_: Any, **__: Any) -> Response:  # noqa: ARG002
        """Say what is offered."""
        return Response(
            status=204,
            headers={
                "Tus-Version": VERSION,
                "Tus-Extension": ",".join(EXTENSIONS),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
                "Tus-Max-Size": str(policy().max_bytes),
            },
        )


class SessionsView(TusView):
    """Where uploads begin."""

    receives = frozenset({"POST"})

    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny() if self.request.method == "OPTIONS" else IsAuthenticated()]

    @extend_schema(
        request=BODY,
        parameters=[RESUMABLE, LENGTH, METADATA, CHECKSUM, IDEMPOTENCY_KEY],
        responses={201: OpenApiResponse(description="Begun: its address is in `Location`.")},
    )
    def post(self, request: Request) -> HttpResponse:
        """Begin an upload, perhaps with its first bytes."""
        if "Upload-Concat" in request.headers or "Upload-Defer-Length" in request.headers:
            raise ExtensionUnsupported
        _check_trailer(request)
        length = parse_length(request.headers.get("Upload-Length"))
        checksum = parse_checksum(request.headers.get("Upload-Checksum"))
        has_body = _content_type(request) == CONTENT_TYPE
        if not has_body and _content_length(request):
            raise ContentTypeInvalid
        if has_body and (_content_length(request) or 0) > length:
            raise LengthExceeded
        metadata = request.headers.get("Upload-Metadata", "")
        token, session, replayed = create_once(
            request._request, _caller(request), length=length, metadata=metadata
        )
        location = reverse("api-tus-session", args=[token])

        def begun(offset: int, upload: Upload | None) -> HttpResponse:
            headers = _headers(session, offset, upload.pk if upload else _finished(session))
            return HttpResponse(status=201, headers={"Location": location, **headers})

        if replayed:
            response = begun(session.offset, None)
            response[REPLAYED] = "true"
            return response
        if not has_body:
            return begun(0, None)
        receiver = open_receiver(session, begun, checksum=checksum)
        return receive_body(request._request, receiver)


@extend_schema(auth=[{"token": []}, {}])  # type: ignore[list-item]
class SessionView(TusView):
    """One upload that is still arriving. Its address is secret, and authorises."""

    receives = frozenset({"PATCH", "POST"})
    authentication_classes = [LenientTokenAuthentication, SessionAuthentication]
    permission_classes = [AllowAny]

    @extend_schema(
        parameters=[RESUMABLE],
        responses={200: OpenApiResponse(description="Where it stands, in `Upload-Offset`.")},
    )
    def head(self, request: Request, token: str) -> HttpResponse:
        """Ask where an upload stands: so many bytes are safe."""
        session = sessions.find(token, _user(request))
        headers = _headers(session, session.offset, _finished(session))
        headers["Upload-Length"] = str(session.length)
        if metadata := sessions.metadata_of(session):
            headers["Upload-Metadata"] = metadata
        return HttpResponse(headers=headers)

    @extend_schema(
        request=BODY,
        parameters=[RESUMABLE, OFFSET, CHECKSUM],
        responses={204: OpenApiResponse(description="Safe up to `Upload-Offset`.")},
    )
    def patch(self, request: Request, token: str) -> HttpResponse:
        """Hand in the next bytes."""
        session = sessions.find(token, _user(request))
        if _content_type(request) != CONTENT_TYPE:
            raise ContentTypeInvalid
        _check_trailer(request)
        offset = parse_offset(request.headers.get("Upload-Offset"))
        checksum = parse_checksum(request.headers.get("Upload-Checksum"))
        end = offset + (_content_length(request) or 0)

        def taken(offset: int, upload: Upload | None) -> HttpResponse:
            return HttpResponse(
                status=204, headers=_headers(session, offset, upload.pk if upload else None)
            )

        if session.finished_at and end == session.length:
            # The last request once more: its answer was lost.
            return HttpResponse(
                status=204, headers=_headers(session, session.length, session.upload_id)
            )
        if offset != session.offset:
            raise OffsetMismatch
        if end > session.length:
            raise LengthExceeded
        receiver = open_receiver(session, taken, checksum=checksum)
        return receive_body(request._request, receiver)

    @extend_schema(
        parameters=[RESUMABLE],
        responses={204: OpenApiResponse(description="Gone; a finished upload stays.")},
    )
    def delete(self, request: Request, token: str) -> HttpResponse:
        """Give an upload up."""
        sessions.end(sessions.find(token, _user(request)))
        return HttpResponse(status=204)


def _check_trailer(request: Request) -> None:
    """Refuse a checksum that is to come after the body: it would never be compared."""
    if "upload-checksum" in request.headers.get("Trailer", "").lower():
        raise ExtensionUnsupported


def _headers(session: UploadSession, offset: int, upload_id: UUID | None) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(offset),
        "Upload-Expires": http_date(session.expires_at.timestamp()),
    }
    if upload_id is not None:
        headers["Upload-Location"] = reverse("api-upload", args=[upload_id])
    return headers


def _finished(session: UploadSession) -> UUID | None:
    return session.upload_id if session.finished_at else None


def _user(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _caller(request: Request) -> sessions.Caller:
    """Return who asks: a browser signs in with a session, a program with a token."""
    user, token = authenticated_user(request), request.auth
    if token is None:
        browser_session = request._request.session.session_key or ""
        return sessions.Caller(user, Door.WEB, browser_session=browser_session)
    return sessions.Caller(user, Door.API, token_family=UUID(str(token["fam"])))  # type: ignore[index]


def _content_type(request: Request) -> str:
    return str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def _content_length(request: Request) -> int | None:
    declared = request.META.get("CONTENT_LENGTH")
    return int(declared) if declared else None
