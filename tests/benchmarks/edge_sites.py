"""The two applications of the edge's benchmark: `bare` without anything, `edge` with Django."""

import hashlib
import os
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.config.edge.settings"

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views import View

from config.edge import receive_body, send_content
from config.edge.body import Body
from config.edge.handover import PIECE_BYTES
from config.edge.limits import Limits
from config.edge.receiving import PIECE_BYTES as PIECE_BYTES_IN

PIECE = bytes(PIECE_BYTES)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Count what comes, send what is asked for, check nothing."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = Body(scope, receive, Limits())
    body.ended = scope["method"] != "PUT"
    buffer = memoryview(bytearray(PIECE_BYTES_IN))
    while not body.ended:
        await (body.into(buffer) if body.is_direct else body.next())
    size = int(scope["path"][1:] or 0) if scope["path"][1:].isdigit() else 0
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for at in range(0, size, len(PIECE)):
        data = PIECE[: size - at]
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Counter:
    """A receiver that counts."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes | memoryview) -> None:
        self.count += len(data)

    def finish(self) -> HttpResponse:
        return HttpResponse(str(self.count))

    def abort(self) -> None:
        """There is nothing to undo."""


class Hasher(Counter):
    """A receiver that hashes."""

    def __init__(self) -> None:
        super().__init__()
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        self._digest.update(data)


class Counting(View):
    """Hand the body to a new receiver."""

    receives = frozenset({"PUT"})
    receiver = Counter

    def put(self, request: HttpRequest) -> HttpResponse:
        return receive_body(request, self.receiver())


class Zeros:
    """Content that costs nothing to read."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        return PIECE[: min(length, self.size - offset)]


def content(request: HttpRequest, size: int) -> HttpResponseBase:
    """Send so many bytes."""
    return send_content(request, Zeros(size), headers={"Content-Type": "application/octet-stream"})


urlpatterns = [
    path("hello", lambda request: HttpResponse("hello")),
    path("count", Counting.as_view()),
    path("sha256", Counting.as_view(receiver=Hasher)),
    path("content/<int:size>", content),
]

django_application = get_wsgi_application()
settings.ROOT_URLCONF = __name__

from config.edge.app import Edge  # noqa: E402 (needs the settings)

edge = Edge(django_application)
