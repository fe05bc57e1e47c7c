"""What views say to the edge: this body comes to me, this content goes out, these pieces, events.

Each function leaves a handover in the request's slot and returns a placeholder, which passes
through all middleware like any answer and so collects its headers. Without a slot, under a plain
WSGI server or Django's test client, the same function does the work before it returns.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags, parse_http_date, parse_http_date_safe

from config.edge import frames
from config.edge.byte_ranges import range_still_applies, requested_range
from config.edge.errors import BodyCoded, BodyPartial, PreconditionFailed, RangeNotSatisfiable
from config.edge.frames import Feed
from config.errors import AppError
from config.middleware import request_id_of
from config.problems import problem_response
from config.ranges import RangeSource

SLOT = "strongroom.edge"  # where the environ carries the slot
PIECE_BYTES = 512 * 1024  # one read of content: fewer changes of thread than with less
WRITE_BYTES = 1024 * 1024  # one write of a body

logger = logging.getLogger(__name__)


class Receiver(Protocol):
    """Takes a body, piece by piece and in order. Its calls never overlap.

    `finish` is called once, after the last piece; its answer must be rendered. If it raises, or
    anything before it does, `abort` is called once instead, and nothing after it. Any call may
    raise an `AppError`, which becomes the answer at once. The memory of `data` is the caller's
    again when the next call has returned; where nothing follows yet, that is a write of no bytes.
    """

    def write(self, data: bytes | memoryview) -> None: ...

    def finish(self) -> HttpResponse: ...

    def abort(self) -> None: ...


@dataclass(frozen=True)
class ReceiveBody:
    """A body that goes to `receiver`."""

    receiver: Receiver

    def drop(self) -> None:
        """Undo: the placeholder did not become the answer."""
        self.receiver.abort()


@dataclass(frozen=True)
class SendContent:
    """The bytes of `source` at the offsets `part`."""

    source: RangeSource
    part: range

    def drop(self) -> None:
        """Undo: the placeholder did not become the answer."""
        close(self.source)


@dataclass(frozen=True)
class SendPieces:
    """Bytes whose number nobody knows before they are made; no piece is empty."""

    pieces: Generator[bytes]

    def drop(self) -> None:
        """Undo: the placeholder did not become the answer."""
        self.pieces.close()


@dataclass(frozen=True)
class StreamEvents:
    """The events of `channel` in `feed`, while `still_allowed` says so."""

    feed: Feed
    channel: str
    last_event_id: str | None
    still_allowed: Callable[[], bool]

    def drop(self) -> None:
        """Undo: the placeholder did not become the answer."""


Handover = ReceiveBody | SendContent | SendPieces | StreamEvents


@dataclass
class Slot:
    """Carries at most one handover from a view to the edge."""

    handover: Handover | None = None
    placeholder: HttpResponseBase | None = None

    def fill(self, handover: Handover, placeholder: HttpResponse) -> HttpResponse:
        """Keep `handover`, to be done if `placeholder` becomes the answer."""
        self.handover, self.placeholder = handover, placeholder
        return placeholder

    def take(self, response: object) -> Handover | None:
        """Return the handover if `response` stands for it; drop it if anything replaced that."""
        handover, self.handover = self.handover, None
        if handover is None or response is self.placeholder:
            return handover
        try:
            handover.drop()
        except Exception:
            logger.exception("a handover could not be dropped")
        return None


def close(source: RangeSource) -> None:
    """Close `source` if it can be closed."""
    closing = getattr(source, "close", None)
    if closing is not None:
        closing()


def receive_body(request: HttpRequest, receiver: Receiver) -> HttpResponse:
    """Pass the body of `request` to `receiver` as it arrives; answer what that answers.

    The view class must name the method in its `receives`, or the edge has read the body already.
    Nothing may have read the body, so neither `request.POST` nor `request.FILES`. A body that is
    coded, or only a part, is refused.
    """
    try:
        _check_body_is_itself(request)
    except AppError as error:
        receiver.abort()
        return problem_response(error, request_id_of(request))
    slot: Slot | None = request.META.get(SLOT)
    if slot is not None:
        return slot.fill(ReceiveBody(receiver), HttpResponse())
    try:
        while data := request.read(WRITE_BYTES):
            receiver.write(data)
        return receiver.finish()
    except BaseException as error:
        receiver.abort()
        if isinstance(error, AppError):
            return problem_response(error, request_id_of(request))
        raise


def _check_body_is_itself(request: HttpRequest) -> None:
    """Refuse what would be stored as something that it is not (RFC 9110, 8.4 and 14.5)."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
        raise BodyCoded
    if "Content-Range" in request.headers:
        raise BodyPartial


def send_content(
    request: HttpRequest, source: RangeSource, *, headers: Mapping[str, str], status: int = 200
) -> HttpResponseBase:
    """Answer with the bytes of `source`, or with the part that `Range` asks for.

    `headers` should carry `Content-Type` and, for `If-Range` and `If-None-Match`, a strong `ETag`;
    `If-Modified-Since` is compared with `Last-Modified`.
    The source is closed at the end, if it can be.
    """
    etag = headers.get("ETag")
    try:
        part, partial = _part_of(request, source.size, etag, status)
    except AppError as error:
        close(source)
        refusal = problem_response(error, request_id_of(request))
        if isinstance(error, RangeNotSatisfiable):
            refusal["Content-Range"] = f"bytes */{source.size}"
        return refusal
    answer = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(len(part))}
    if partial:
        answer["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{source.size}"
        status = HTTPStatus.PARTIAL_CONTENT
    if status < HTTPStatus.MULTIPLE_CHOICES and _has_already(
        request, etag, headers.get("Last-Modified")
    ):
        close(source)
        kept = {n: v for n, v in headers.items() if not n.lower().startswith("content-")}
        return HttpResponseNotModified(headers=kept)
    placeholder = HttpResponse(status=status, headers=answer)
    if request.method == "HEAD":
        close(source)
        return placeholder
    slot: Slot | None = request.META.get(SLOT)
    if slot is not None:
        return slot.fill(SendContent(source, part), placeholder)
    return StreamingHttpResponse(_Pieces(source, part), status=status, headers=answer)


def _part_of(request: HttpRequest, size: int, etag: str | None, status: int) -> tuple[range, bool]:
    required = parse_etags(request.headers.get("If-Match", "*"))
    if required != ["*"] and etag not in required:
        raise PreconditionFailed
    asked = request.headers.get("Range")
    applies = range_still_applies(request.headers.get("If-Range"), etag=etag)
    part = None
    if asked is not None and applies and request.method == "GET" and status == HTTPStatus.OK:
        part = requested_range(asked, size=size)
    return (range(size), False) if part is None else (part, True)


def _has_already(request: HttpRequest, etag: str | None, modified: str | None) -> bool:
    if "If-None-Match" in request.headers:  # the date counts only without it (RFC 9110, 13.2.2)
        offered = parse_etags(request.headers["If-None-Match"])
        return offered == ["*"] or etag in [tag.removeprefix("W/") for tag in offered]
    since = parse_http_date_safe(request.headers.get("If-Modified-Since", ""))
    return modified is not None and since is not None and parse_http_date(modified) <= since


def send_pieces(
    request: HttpRequest, pieces: Generator[bytes], *, headers: Mapping[str, str]
) -> HttpResponseBase:
    """Answer with `pieces`, each of which is made when the one before it is on its way.

    Each may ask the database, and must be done with it when it is given: they are made by several
    threads in turn. If one cannot be made, the answer is cut.
    """
    slot: Slot | None = request.META.get(SLOT)
    if request.method == "HEAD":
        pieces.close()
        return HttpResponse(headers=headers)
    if slot is not None:
        return slot.fill(SendPieces(pieces), HttpResponse(headers=headers))
    return StreamingHttpResponse(pieces, headers=headers)


class _Pieces:
    """The pieces of a part, for servers that iterate; closes the source however that ends."""

    def __init__(self, source: RangeSource, part: range) -> None:
        self._source = source
        self._part = part

    def __iter__(self) -> Iterator[bytes]:
        return (read_piece(self._source, self._part, at) for at in offsets(self._part))

    def close(self) -> None:
        close(self._source)


def offsets(part: range) -> range:
    """Return where each piece of `part` begins."""
    return part[::PIECE_BYTES]


def read_piece(source: RangeSource, part: range, at: int) -> bytes:
    """Return the piece of `part` that begins at offset `at`.

    Raises:
        EOFError: the source ended early. The piece is not given then, not even in part.
    """
    length = min(PIECE_BYTES, part.stop - at)
    data = source.read_at(at, length)
    if len(data) != length:
        raise EOFError("The source is shorter than its size.")
    return data


def stream_events(
    request: HttpRequest,
    feed: Feed,
    *,
    channel: str,
    last_event_id: str | None = None,
    still_allowed: Callable[[], bool] = lambda: True,
) -> HttpResponse:
    """Answer with the events of `channel`, live, as `text/event-stream`.

    Events after `last_event_id` are replayed first; the header `Last-Event-ID` is read if it is
    None. `still_allowed` is asked again with each heartbeat; a no ends the stream. Without the
    edge the replay is all there is.
    """
    wanted = last_event_id or request.headers.get("Last-Event-ID")
    response = HttpResponse(
        content_type=frames.CONTENT_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
    slot: Slot | None = request.META.get(SLOT)
    if slot is not None:
        return slot.fill(StreamEvents(feed, channel, wanted, still_allowed), response)
    response.content = frames.opening(feed, channel, wanted).text
    return response
