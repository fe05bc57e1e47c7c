"""The user."""

import secrets
from collections.abc import Iterator

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac

from config.ids import uuid7


def new_session_version() -> int:
    """Return a random number that fits a positive 63-bit column."""
    return secrets.randbits(62)


class Theme(models.TextChoices):
    """Colours of the pages."""

    SYSTEM = "system", "As the device"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Clock(models.TextChoices):
    """By which clock pages write moments."""

    UTC = "utc", "UTC"
    LOCAL = "local", "Local time"


class User(AbstractUser):
    """A person, or a program that acts for one.

    `session_version` stands in every token and every session. Changing it ends all of them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session_version = models.BigIntegerField(default=new_session_version, editable=False)
    theme = models.CharField(max_length=6, choices=Theme, default=Theme.SYSTEM)
    clock = models.CharField(max_length=5, choices=Clock, default=Clock.UTC)

    def get_session_auth_hash(self) -> str:
        return self._with_version(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for earlier in super().get_session_auth_fallback_hash():
            yield self._with_version(earlier)

    def _with_version(self, auth_hash: str) -> str:
        return salted_hmac("session version", f"{auth_hash}:{self.session_version}").hexdigest()

    def end_tokens(self) -> None:
        """Make every token and every session so far invalid."""
        self.session_version = new_session_version()
        self.save(update_fields=["session_version"])


class TokenFamily(models.Model):
    """All tokens that descend from one sign-in of a program.

    Only the id of the refresh token that may be used next is kept, never a token. Using an
    older one means that somebody holds a copy: the family ends.
    """

    class End(models.TextChoices):
        SIGNED_OUT = "signed_out", "Signed out"
        REPLAYED = "replayed", "A used refresh token came back"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="token_families")
    next_refresh = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    refreshed_at = models.DateTimeField(auto_now=True)
    ended_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=10, choices=End, blank=True)

    class Meta:
        verbose_name_plural = "token families"
