"""A tiny site whose views use the edge, and a journal of what its receivers lived through."""

import hashlib
import json
import threading
import time
from collections.abc import Generator
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_protect

from config.edge import Event, receive_body, send_content, send_pieces, stream_events
from config.errors import AppError
from tests.source import BytesSource

CONTENT = bytes(range(256)) * 4096  # 1 MiB that differs at every offset
ETAG = '"v1"'
MODIFIED = "Mon, 06 Jul 2026 10:20:30 GMT"


class Forbidden(AppError):
    code = "media_type_denied"
    status = 415
    detail = "This kind of file is not accepted here."


class Broken(AppError):
    code = "blob_damaged"
    status = 500
    detail = "The stored content is damaged."


class Recorder:
    """A receiver that notes what happens to it, and fails where it is told to."""

    journal: list[str] = []
    begun: list[str] = []
    sizes: list[int] = []
    threads: set[str] = set()

    def __init__(self, fail: str = "", write_s: float = 0, finish_s: float = 0) -> None:
        self.fail = fail
        self.write_s = write_s
        self.finish_s = finish_s
        self.received = bytearray()
        self.count = 0

    def write(self, data: bytes | memoryview) -> None:
        self.threads.add(threading.current_thread().name)
        self.sizes.append(len(data))
        self.begun.append("write")
        time.sleep(self.write_s)
        self._fail_at("write")
        self.count += len(data)
        if self.count <= 8 * 1024 * 1024:
            self.received += data

    def finish(self) -> HttpResponse:
        self.begun.append("finish")
        time.sleep(self.finish_s)
        self._fail_at("finish")
        self.journal.append("finish")
        body = {"count": self.count, "head": self.received[:20].decode("latin-1")}
        response = JsonResponse(body, status=201, headers={"Location": "/made/1", "Vary": "Accept"})
        response.set_cookie("made", "1")
        return response

    def abort(self) -> None:
        self.journal.append("abort")
        self._fail_at("abort")

    def _fail_at(self, place: str) -> None:
        if self.fail == place:
            raise Forbidden
        if self.fail == f"{place}-crash":
            raise RuntimeError("a receiver crashed")


class Holder(Recorder):
    """A receiver that holds on to a piece until the next call, as it may."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._held: bytes | memoryview = b""
        self._digest = self._digest_of(b"")
        self._all = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        self._check()
        self._held, self._digest = data, self._digest_of(data)
        self._all.update(data)

    def finish(self) -> HttpResponse:
        self._check()
        super().finish()
        return JsonResponse({"sha256": self._all.hexdigest()}, status=201)

    def _check(self) -> None:
        if self._digest_of(self._held) != self._digest:
            self.journal.append("a held piece was changed")

    @staticmethod
    def _digest_of(data: bytes | memoryview) -> str:
        return hashlib.sha256(data).hexdigest()


class Source(BytesSource):
    """Content that can break at an offset, and notes that it was closed."""

    closed: list[str] = []
    reads: list[int] = []

    def __init__(self, content: bytes, *, breaks_at: int = -1, ends_at: int = -1) -> None:
        super().__init__(content)
        self.breaks_at = breaks_at
        self.ends_at = ends_at

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append(length)
        if 0 <= self.breaks_at < offset + length:
            raise Broken
        data = super().read_at(offset, length)
        return data[: max(0, self.ends_at - offset)] if self.ends_at >= 0 else data

    def close(self) -> None:
        self.closed.append("closed")


class Zeros:
    """Content of any size that needs no memory."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(min(length, self.size - offset))


class MemoryFeed:
    """A feed that counts its questions."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.questions = 0
        self.broken = False

    def announce(self, channel: str, data: str) -> None:
        self.events.append(Event(len(self.events) + 1, "changed", data, channel))

    def latest(self) -> int:
        return len(self.events)

    def after(self, cursor: int, limit: int, channel: str | None = None) -> list[Event]:
        self.questions += 1
        if self.broken:
            raise RuntimeError("the database is away")
        found = [e for e in self.events[cursor:] if channel in {None, e.channel}]
        return found[:limit]


FEED = MemoryFeed()
ALLOWED: dict[str, bool | None] = {}  # None: the check raises


class Receiving(View):
    receives = frozenset({"POST", "PUT"})

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.headers.get("Authorization") == "none":
            return JsonResponse({"code": "not_authenticated"}, status=401)
        recorder = Recorder(
            request.GET.get("fail", ""),
            float(request.GET.get("write_s", 0)),
            float(request.GET.get("finish_s", 0)),
        )
        return receive_body(request, recorder)

    put = post

    def patch(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(len(request.body)))


class Holding(View):
    """Receives with a receiver that needs the piece before."""

    receives = frozenset({"PUT"})

    def put(self, request: HttpRequest) -> HttpResponse:
        return receive_body(request, Holder(write_s=float(request.GET["write_s"])))


class Counting(View):
    """Receives without keeping anything."""

    receives = frozenset({"PUT"})

    def put(self, request: HttpRequest) -> HttpResponse:
        counter = Recorder()
        counter.count = 1 << 40
        return receive_body(request, counter)


class Misled(View):
    """Says that it receives, and then reads the body all the same."""

    receives = frozenset({"POST"})

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"read {len(request.body)} bytes")


@method_decorator(csrf_protect, name="dispatch")
class Guarded(Receiving):
    """Like a page that takes a form: the token is looked for in the body first."""


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"length": len(request.body), "threads": threading.active_count()})


def meta(request: HttpRequest) -> HttpResponse:
    kept = {k: v for k, v in request.META.items() if isinstance(v, str)}
    return JsonResponse({"path": request.path, "meta": kept, "host": request.get_host()})


def odd(request: HttpRequest) -> HttpResponse:
    kind = request.GET["kind"]
    if kind == "crash":
        raise RuntimeError("a view crashed")
    if kind == "huge":
        return HttpResponse(bytes(17 * 1024 * 1024))
    if kind == "hop":
        return HttpResponse("x", headers={"Transfer-Encoding": "chunked", "Keep-Alive": "1"})
    if kind == "cookies":
        response = HttpResponse("x")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response
    return HttpResponse(status=int(kind), headers={"Content-Length": "0"})


def sleep(request: HttpRequest) -> HttpResponse:
    time.sleep(float(request.GET["s"]))
    return HttpResponse("slept")


def content(request: HttpRequest) -> HttpResponseBase:
    source = Source(
        CONTENT,
        breaks_at=int(request.GET.get("breaks_at", -1)),
        ends_at=int(request.GET.get("ends_at", -1)),
    )
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment",
        "ETag": ETAG,
        "Last-Modified": MODIFIED,
    }
    return send_content(request, source, headers=headers)


def empty(request: HttpRequest) -> HttpResponseBase:
    return send_content(request, Source(b""), headers={"Content-Type": "text/plain"})


def zeros(request: HttpRequest, size: int) -> HttpResponseBase:
    return send_content(request, Zeros(size), headers={"Content-Type": "text/plain"})


class Pieces:
    """Makes pieces of one KiB; `closed` counts how often that ended, `made` the pieces."""

    made = 0
    closed = 0

    @classmethod
    def make(cls, count: int, breaks_at: int, pause_s: float) -> Generator[bytes]:
        cls.made = cls.closed = 0
        try:
            for number in range(count):
                if number == breaks_at:
                    raise Broken
                cls.made += 1
                time.sleep(pause_s)
                yield bytes([65 + number % 26]) * 1024
        finally:
            cls.closed += 1


def pieces(request: HttpRequest, count: int) -> HttpResponseBase:
    breaks_at, pause_s = (float(request.GET.get(key, -1)) for key in ("breaks_at", "pause_s"))
    made = Pieces.make(count, int(breaks_at), max(0.001, pause_s))
    return send_pieces(request, made, headers={"Content-Type": "text/csv"})


def events(request: HttpRequest, channel: str) -> HttpResponse:
    def still_allowed() -> bool:
        allowed = ALLOWED.get(channel, True)
        if allowed is None:
            raise RuntimeError("the database is away")
        return allowed

    return stream_events(request, FEED, channel=channel, still_allowed=still_allowed)


def announce(request: HttpRequest, channel: str) -> HttpResponse:
    FEED.announce(channel, request.GET.get("data", "{}"))
    return HttpResponse(status=204)


def journal(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(Recorder.journal))


class Replacing:
    """A middleware that puts its own answer in the place of any, where the query says so."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self.get_response(request)
        if request.GET.get("then") == "replace":
            return HttpResponse("replaced", status=418)
        if request.GET.get("then") == "crash":
            raise RuntimeError("a middleware crashed")
        response["X-From-Middleware"] = "yes"
        if request.GET.get("then") == "cookie":
            response.set_cookie("seen", "1")
        return response


urlpatterns = [
    path("hello", hello),
    path("echo", echo),
    path("meta", meta),
    path("m\u00e4ta/<str:rest>", lambda request, rest: HttpResponse(rest)),
    path("odd", odd),
    path("sleep", sleep),
    path("receive", Receiving.as_view()),
    path("count", Counting.as_view()),
    path("hold", Holding.as_view()),
    path("misled", Misled.as_view()),
    path("guarded", Guarded.as_view()),
    path("content", content),
    path("empty", empty),
    path("zeros/<int:size>", zeros),
    path("pieces/<int:count>", pieces),
    path("events/<str:channel>", events),
    path("announce/<str:channel>", announce),
    path("journal", journal),
]
