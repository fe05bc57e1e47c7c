"""What every request gets: the address it really came from, and an id for the logs."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(request: HttpRequest) -> str | None:
    """Return the id that the middleware gave to `request`."""
    request_id: str | None = getattr(request, "request_id", None)
    return request_id


class TrustedProxyMiddleware:
    """Let REMOTE_ADDR be the client's address behind the proxies of settings.TRUSTED_PROXIES.

    Each proxy appends to X-Forwarded-For the address that it saw. Read from the end, the first
    one that is no proxy of ours is the client; what stands before it is the client's own word.
    From anybody else the header means nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trusted = _networks(tuple(settings.TRUSTED_PROXIES))
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        while trusted and forwarded and _is_of(request.META.get("REMOTE_ADDR", ""), trusted):
            address = forwarded.pop().strip()
            if not _is_address(address):
                break
            request.META["REMOTE_ADDR"] = address
        return self.get_response(request)


@lru_cache(maxsize=8)
def _networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(name) for name in names)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_of(text: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in networks)


class NoStoreMiddleware:
    """Let no cache keep an answer that does not say how it may be kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "Cache-Control" not in response:
            # What has a tag is asked for again with it; only its owner's own cache may hold it.
            response["Cache-Control"] = "private, no-cache" if "ETag" in response else "no-store"
        return response


class RequestIdMiddleware:
    """Take the caller's id if it is harmless, or make one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get(HEADER, "")
        request_id = offered if ACCEPTED.fullmatch(offered) else uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response[HEADER] = request_id
        return response
