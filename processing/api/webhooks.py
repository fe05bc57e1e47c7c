"""Webhooks: endpoints of the caller, their secrets, and what was delivered to them."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from config.edge.errors import PreconditionFailed
from config.entity_tags import entity_tag
from processing.webhooks import endpoints
from processing.webhooks.events import EVENT_CHOICES, body_of
from processing.webhooks.models import Attempt, Delivery, Endpoint
from processing.webhooks.sealing import url_of

IF_MATCH = OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """One endpoint. `ended_because` says why it is switched off: `owner`, `gone` or `failing`."""

    url = serializers.SerializerMethodField()
    events = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "name",
            "url",
            "events",
            "enabled",
            "ended_because",
            "ended_at",
            "failing_since",
            "previous_until",
            "created_at",
        ]
        read_only_fields = fields

    def get_url(self, endpoint: Endpoint) -> str:
        return url_of(endpoint)


class EndpointWithSecretSerializer(EndpointSerializer):
    """One endpoint with its new secret, which is never shown again."""

    secret = serializers.CharField(read_only=True)

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = fields

    def to_representation(self, instance: Endpoint) -> dict[str, Any]:
        instance.secret = self.context["secret"]
        return super().to_representation(instance)


class NewEndpointSerializer(serializers.Serializer[Any]):
    """Where to send, and what. Steps of pipelines call an endpoint by its name."""

    name = serializers.CharField(max_length=50)
    url = serializers.CharField(max_length=2048)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENT_CHOICES), allow_empty=True
    )


class EndpointChangesSerializer(serializers.Serializer[Any]):
    """What to change; what is left out stays."""

    name = serializers.CharField(max_length=50, required=False)
    url = serializers.CharField(max_length=2048, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENT_CHOICES),
        allow_empty=True,
        required=False,
    )
    enabled = serializers.BooleanField(required=False)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try. `status` is that of the HTTP answer; without `duration_ms` it goes on."""

    class Meta:
        model = Attempt
        fields = ["number", "started_at", "duration_ms", "status", "error_code"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One message for one endpoint. `due_at` is its next attempt, while it waits."""

    message_id = serializers.CharField(read_only=True)
    endpoint = serializers.UUIDField(source="endpoint_id", read_only=True)
    body = serializers.SerializerMethodField()
    attempts = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "message_id",
            "endpoint",
            "event",
            "state",
            "occurred_at",
            "due_at",
            "settled_at",
            "body",
            "attempts",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.CharField())
    def get_body(self, delivery: Delivery) -> str:
        return body_of(delivery.event, delivery.facts, delivery.occurred_at).decode()


def endpoints_of(request: Request) -> QuerySet[Endpoint]:
    """Return the endpoints that the caller may see."""
    return Endpoint.objects.owned_by(authenticated_user(request))


def deliveries_of(request: Request) -> QuerySet[Delivery]:
    """Return the deliveries that the caller may see."""
    found = Delivery.objects.owned_by(authenticated_user(request))
    return found.select_related("endpoint").prefetch_related("attempts")


class WebhooksView(generics.ListAPIView[Endpoint]):
    """All endpoints of the caller."""

    queryset = Endpoint.objects.none()  # names the model to the OpenAPI document
    serializer_class = EndpointSerializer

    def get_queryset(self) -> QuerySet[Endpoint]:
        return endpoints_of(self.request)

    @extend_schema(request=NewEndpointSerializer, responses={201: EndpointWithSecretSerializer})
    def post(self, request: Request) -> Response:
        """Make an endpoint. The answer is the only one that has its secret."""
        body = NewEndpointSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made, secret = endpoints.create(authenticated_user(request), **body.validated_data)
        headers = {"Location": reverse("api-webhook", args=[made.pk]), "ETag": _etag(made)}
        answer = EndpointWithSecretSerializer(made, context={"secret": secret}).data
        return Response(answer, status.HTTP_201_CREATED, headers=headers)


class WebhookView(APIView):
    """One endpoint."""

    @extend_schema(responses=EndpointSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """Read it. `ETag` names this state of it."""
        return _answer(get_object_or_404(endpoints_of(request), pk=pk))

    @extend_schema(
        request=EndpointChangesSerializer, responses=EndpointSerializer, parameters=[IF_MATCH]
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        """Change it, switch it off or on. `If-Match` takes its `ETag`."""
        endpoint = _matched(request, pk)
        body = EndpointChangesSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        endpoints.change(endpoint, **body.validated_data)
        return _answer(endpoint)

    @extend_schema(responses={204: None}, parameters=[IF_MATCH])
    def delete(self, request: Request, pk: UUID) -> Response:
        """Remove it with its deliveries. `If-Match` takes its `ETag`."""
        endpoints.remove(_matched(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookRotateView(APIView):
    """Another secret."""

    @extend_schema(request=None, responses=EndpointWithSecretSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Give it a new secret; until `previous_until`, messages carry both signatures."""
        endpoint = get_object_or_404(endpoints_of(request), pk=pk)
        secret = endpoints.rotate(endpoint)
        answer = EndpointWithSecretSerializer(endpoint, context={"secret": secret}).data
        return Response(answer, headers={"ETag": _etag(endpoint)})


class WebhookTestView(APIView):
    """Try it."""

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send `webhook.test`, a message that says nothing but that it arrives."""
        endpoint = get_object_or_404(endpoints_of(request), pk=pk)
        return _under_way(endpoints.send_test(endpoint))


class WebhookDeliveriesView(generics.ListAPIView[Delivery]):
    """What was, or will be, delivered to one endpoint."""

    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_fields = ["state", "event"]

    def get_queryset(self) -> QuerySet[Delivery]:
        endpoint = get_object_or_404(endpoints_of(self.request), pk=self.kwargs["pk"])
        return deliveries_of(self.request).filter(endpoint=endpoint)


class DeliveryView(generics.RetrieveAPIView[Delivery]):
    """One delivery with its attempts."""

    serializer_class = DeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        return deliveries_of(self.request)


class DeliveryResendView(APIView):
    """Once more."""

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send it again, under the same `webhook-id`."""
        delivery = get_object_or_404(deliveries_of(request), pk=pk)
        endpoints.resend(delivery)
        delivery.refresh_from_db()
        return _under_way(delivery)


def _etag(endpoint: Endpoint) -> str:
    """Return the `ETag` that reading it has."""
    return entity_tag(JSONRenderer().render(EndpointSerializer(endpoint).data))


def _answer(endpoint: Endpoint) -> Response:
    return Response(EndpointSerializer(endpoint).data, headers={"ETag": _etag(endpoint)})


def _matched(request: Request, pk: UUID) -> Endpoint:
    endpoint = get_object_or_404(endpoints_of(request), pk=pk)
    required = parse_etags(request.headers.get("If-Match", "*"))
    if required != ["*"] and _etag(endpoint) not in required:
        raise PreconditionFailed
    return endpoint


def _under_way(delivery: Delivery) -> Response:
    location = {"Location": reverse("api-delivery", args=[delivery.pk])}
    return Response(DeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED, headers=location)
