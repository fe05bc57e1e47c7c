"""Endpoints, deliveries and their attempts.

No column holds an address or a secret in the clear: both are sealed under the owner's key. Nor
does one hold a body: it is made of `facts`, ids and states only, whenever it is sent or shown.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from config.accounts.models import User
from config.ids import uuid7


class Ended(models.TextChoices):
    """Why an endpoint is told nothing any more."""

    OWNER = "owner", "Switched off by its owner"
    GONE = "gone", "It answered that it is gone (410)"
    FAILING = "failing", "Nothing reached it for three days"


class DeliveryState(models.TextChoices):
    """A delivery ends in one of the last two; being sent again leads back to the first."""

    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """Reads of endpoints."""

    def owned_by(self, user: User) -> Self:
        """Keep what `user` may see. Every read for a user passes here."""
        return self.filter(owner=user)


class Endpoint(models.Model):
    """A place that is told what happens to the files of one user."""

    secret: str | None = None  # in the clear, the once that it is shown; no column
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="endpoints", db_index=False
    )
    name = models.SlugField(max_length=50, db_index=False)
    events = models.JSONField(default=list, help_text="Names of the events that it is told of.")
    sealed_url = models.BinaryField()
    sealed_secret = models.BinaryField()
    sealed_previous = models.BinaryField(null=True, help_text="The secret before the last change.")
    previous_until = models.DateTimeField(null=True, help_text="How long that one still signs.")
    revision = models.PositiveIntegerField(default=1, help_text="Grows with every change.")
    enabled = models.BooleanField(default=True)
    ended_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=7, choices=Ended, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="Since it last took a delivery.")
    failing_since = models.DateTimeField(null=True)
    quiet_until = models.DateTimeField(null=True, help_text="It is left alone until then.")
    tried_at = models.DateTimeField(null=True, help_text="When its turn was last.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="endpoint_has_its_name"),
            models.CheckConstraint(
                condition=Q(enabled=True, ended_because="", ended_at=None)
                | (Q(enabled=False, ended_at__isnull=False) & ~Q(ended_because="")),
                name="endpoint_that_is_off_says_why",
            ),
            models.CheckConstraint(
                condition=Q(sealed_previous=None, previous_until=None)
                | Q(sealed_previous__isnull=False, previous_until__isnull=False),
                name="endpoint_previous_secret_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Reads of deliveries."""

    def owned_by(self, user: User) -> Self:
        """Keep what `user` may see. Every read for a user passes here."""
        return self.filter(endpoint__owner=user)


class Delivery(models.Model):
    """One message for one endpoint. Its id stays the same over all attempts.

    Made in the transaction of what it tells. An endpoint that goes in that very moment must not
    undo it, so the database does not enforce the foreign key; what is left over is swept.

    `fence` grows with every claim. A worker settles it only while the fence is the one it got.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint,
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_constraint=False,
        db_index=False,
    )
    event = models.CharField(max_length=32)
    facts = models.JSONField(help_text="Ids and states, never names or content.")
    occurred_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0, help_text="Of the schedule.")
    fence = models.PositiveIntegerField(default=0, help_text="Attempts altogether.")
    due_at = models.DateTimeField(help_text="Not to be tried before.")
    lease_expires_at = models.DateTimeField(null=True, help_text="It is being tried until then.")
    settled_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
            models.Index(
                fields=["endpoint", "due_at"],
                condition=Q(state="waiting"),
                name="delivery_that_waits",
            ),
            models.Index(fields=["occurred_at"], name="delivery_by_age"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", settled_at=None)
                | (~Q(state="waiting") & Q(settled_at__isnull=False, lease_expires_at=None)),
                name="delivery_that_is_settled_says_when",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def message_id(self) -> str:
        """Return what tells the receiver that two messages are the same."""
        return f"msg_{self.pk.hex}"


class Attempt(models.Model):
    """One try at a delivery. Without a duration it goes on, or its worker died at it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(help_text="The fence of its claim.")
    started_at = models.DateTimeField()
    duration_ms = models.FloatField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the HTTP answer.")
    error_code = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_has_its_number"),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.number}"
