"""Webhooks: endpoints of the caller, their secrets, and what was delivered to them."""

from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import authenticated_user
from config.edge.errors import PreconditionFailed
from config.entity_tags import entity_tag
from config.idempotency.once import Keep, once
from config.schema import IDEMPOTENCY_KEY as KEY
from processing.api.webhook_serializers import (
    DeliverySerializer,
    EndpointChangesSerializer,
    EndpointSerializer,
    EndpointWithSecretSerializer,
    NewEndpointSerializer,
)
from processing.webhooks import endpoints
from processing.webhooks.models import Delivery, Endpoint
from processing.webhooks.sealing import secret_of

M = TypeVar("M", bound=Model)

IF_MATCH = OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)


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

    @extend_schema(
        request=NewEndpointSerializer,
        parameters=[KEY],
        responses={201: EndpointWithSecretSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make an endpoint. No answer but this one, and that to its repetition, has its secret."""
        owner = authenticated_user(request)
        body = NewEndpointSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data

        def make(keep: Keep) -> Endpoint:
            return endpoints.create(owner, **asked, keep=keep)[0]

        facts = (asked["name"], asked["url"], *sorted(asked["events"]))
        made, replayed = once(
            owner, request._request, *facts, make=make, find=_finder(endpoints_of(request))
        )
        location = {"Location": reverse("api-webhook", args=[made.pk])}
        return _with_secret(made, status.HTTP_201_CREATED, {**location, **replayed})


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

    @extend_schema(request=None, parameters=[KEY], responses=EndpointWithSecretSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Give it a new secret; until `previous_until`, messages carry both signatures."""
        endpoint = get_object_or_404(endpoints_of(request), pk=pk)

        @transaction.atomic
        def make(keep: Keep) -> Endpoint:
            endpoints.rotate(endpoint)
            keep(endpoint.pk)
            return endpoint

        rotated, replayed = once(
            endpoint.owner, request._request, make=make, find=_finder(endpoints_of(request))
        )
        return _with_secret(rotated, status.HTTP_200_OK, replayed)


class WebhookTestView(APIView):
    """Try it."""

    @extend_schema(request=None, parameters=[KEY], responses={202: DeliverySerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send `webhook.test`, a message that says nothing but that it arrives."""
        endpoint = get_object_or_404(endpoints_of(request), pk=pk)

        @transaction.atomic
        def make(keep: Keep) -> Delivery:
            delivery = endpoints.send_test(endpoint)
            keep(delivery.pk)
            return delivery

        return _sent_once(request, make)


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

    @extend_schema(request=None, parameters=[KEY], responses={202: DeliverySerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send it again, under the same `webhook-id`."""
        delivery = get_object_or_404(deliveries_of(request), pk=pk)

        @transaction.atomic
        def make(keep: Keep) -> Delivery:
            endpoints.resend(delivery)
            keep(delivery.pk)
            delivery.refresh_from_db()
            return delivery

        return _sent_once(request, make)


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


def _with_secret(endpoint: Endpoint, code: int, headers: Mapping[str, str]) -> Response:
    body = EndpointWithSecretSerializer(endpoint, context={"secret": secret_of(endpoint)})
    return Response(body.data, code, headers={"ETag": _etag(endpoint), **headers})


def _sent_once(request: Request, make: Callable[[Keep], Delivery]) -> Response:
    owner, find = authenticated_user(request), _finder(deliveries_of(request))
    delivery, replayed = once(owner, request._request, make=make, find=find)
    headers = {"Location": reverse("api-delivery", args=[delivery.pk]), **replayed}
    return Response(DeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED, headers=headers)


def _finder(rows: QuerySet[M]) -> Callable[[UUID], M | None]:
    return lambda pk: rows.filter(pk=pk).first()
