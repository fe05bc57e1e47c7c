"""Whose word about the client's address counts."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from config.middleware import TrustedProxyMiddleware


def address_seen(peer: str, forwarded: str | None) -> str:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = peer
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    TrustedProxyMiddleware(lambda _: HttpResponse())(request)
    seen: str = request.META["REMOTE_ADDR"]
    return seen


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the first is the client's word
        ("10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1"),  # through two proxies
        ("10.1.2.3", "10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "nonsense", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.1, <script>", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_our_proxies_are_believed(
    settings: Any, peer: str, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert address_seen(peer, forwarded) == expected


def test_without_proxies_the_header_means_nothing(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert address_seen("10.1.2.3", "198.51.100.1") == "10.1.2.3"
