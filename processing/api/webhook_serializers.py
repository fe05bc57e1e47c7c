"""How endpoints and deliveries of webhooks look on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from processing.webhooks.events import EVENT_CHOICES, body_of
from processing.webhooks.models import Attempt, Delivery, Endpoint
from processing.webhooks.sealing import url_of


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
