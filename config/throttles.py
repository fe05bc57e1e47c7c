"""How often somebody may ask."""

import time

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle


class Throttle(BaseThrottle):
    """So many requests in a window of one minute; one counter in the cache for each identity.

    DRF's own throttles keep a list of all request times, which costs more than the requests at
    the rates that programs upload with.
    """

    WINDOW_S = 60
    scope = ""

    def allow_request(self, request: Request, view: object) -> bool:  # noqa: ARG002
        identity = self.identity(request)
        if identity is None:
            return True
        limit = int(api_settings.DEFAULT_THROTTLE_RATES[self.scope] or 0)
        key = f"throttle:{self.scope}:{identity}:{int(time.time()) // self.WINDOW_S}"
        cache.add(key, 0, timeout=2 * self.WINDOW_S)
        return cache.incr(key) <= limit

    def wait(self) -> float:
        return self.WINDOW_S - time.time() % self.WINDOW_S

    def identity(self, request: Request) -> str | None:
        """Return whom to count, or None to let the request pass."""
        raise NotImplementedError


class UserThrottle(Throttle):
    """Counts a signed-in user."""

    scope = "user"

    def identity(self, request: Request) -> str | None:
        return str(request.user.pk) if request.user.is_authenticated else None


class AddressThrottle(Throttle):
    """Counts an address that has not signed in."""

    scope = "address"

    def identity(self, request: Request) -> str | None:
        return None if request.user.is_authenticated else str(request.META.get("REMOTE_ADDR"))


class SignInThrottle(Throttle):
    """Counts an address that tries passwords or tokens."""

    scope = "sign_in"

    def identity(self, request: Request) -> str | None:
        return str(request.META.get("REMOTE_ADDR"))
