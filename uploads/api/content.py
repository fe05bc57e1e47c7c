"""How stored bytes leave: to be saved, never to be run."""

import base64

from django.http import HttpRequest
from django.utils.http import content_disposition_header
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

ACCEPT_RISK = OpenApiParameter(
    "accept_risk",
    bool,
    description="Fetch it although it is in quarantine, or has not passed its required checks.",
)


def accepts_risk(request: Request) -> bool:
    """Tell whether the owner has said to take the risk of a file that is held."""
    return request.query_params.get("accept_risk") == "true"


def content_headers(*, media_type: str, name: str, sha256: str) -> dict[str, str]:
    """Return the headers of a file or an artifact; `sha256` in hex."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {
        "Content-Type": media_type,
        "Content-Disposition": str(content_disposition_header(True, _printable(name))),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": f'"{sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
    }


def _printable(name: str) -> str:
    """Return `name` without what a header line cannot carry."""
    text = name.encode("utf-8", "replace").decode()
    return "".join("_" if ord(c) < 32 or ord(c) == 127 else c for c in text)


def plain_request(request: Request) -> HttpRequest:
    """Return Django's own request, which the edge knows."""
    return request._request
