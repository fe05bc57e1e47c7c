"""The live stream."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user, still_signed_in
from config.edge import stream_events
from config.events.feed import FEED


class EventStream(BaseRenderer):
    """Lets a caller ask for `text/event-stream`; the edge writes it."""

    media_type = "text/event-stream"
    format = "events"


class EventsView(APIView):
    """Server-sent events of the caller."""

    renderer_classes = [EventStream]

    @extend_schema(
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
        parameters=[OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER)],
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Follow what happens: `upload.judged`, `upload.deleted`, `run.changed`, `step.changed`,
        `replay.changed`, `webhook.changed`.

        Each event carries ids and states as JSON; what they stand for is read from its resource.
        """
        user = authenticated_user(request)
        return stream_events(
            request._request,
            FEED,
            channel=str(user.pk),
            still_allowed=still_signed_in(request),
        )
