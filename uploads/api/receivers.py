"""What takes the body of an upload, piece by piece, while it arrives."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from django.http import HttpResponse
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    content_disposition_unquote,
    parse_options_header,
)

from uploads.api.digests import declared_sha256
from uploads.api.repeating import Answer, Incoming
from uploads.api.searching import holds
from uploads.errors import (
    DigestMismatch,
    FileMissing,
    MalformedMultipart,
    TooManyParts,
    Truncated,
)
from uploads.labels import split_tags

MAX_PARTS = 16
MAX_FIELD_BYTES = 1024
MAX_AROUND_BYTES = 64 * 1024  # what is neither file nor field: delimiters, headers, padding
AS_IT_IS = {"7bit", "8bit", "binary"}  # transfer encodings that change nothing; RFC 2045, 6.2
FILE_FIELD = "file"


@dataclass(frozen=True)
class Said:
    """What a client says of a file besides its content."""

    pipeline: str | None
    folder: str
    tags: tuple[str, ...]

    @classmethod
    def by(cls, fields: Mapping[str, str]) -> "Said":
        """Return what the fields of a form or a query say."""
        return cls(
            pipeline=fields.get("pipeline") or None,
            folder=fields.get("folder", ""),
            tags=split_tags(fields.get("tags", "")),
        )


class OpenFile(Protocol):
    """Begins the upload once the name of the file is known."""

    def __call__(self, *, name: str, declared_type: str, said: Said) -> Incoming: ...


class RawReceiver:
    """The body is the file."""

    def __init__(self, arrival: Incoming, answer: Answer, *, sha256: bytes | None) -> None:
        self._arrival = arrival
        self._answer = answer
        self._sha256 = sha256

    def write(self, data: bytes | memoryview) -> None:
        self._arrival.write(data)

    def finish(self) -> HttpResponse:
        return self._answer(self._arrival.commit(sha256=self._sha256))

    def abort(self) -> None:
        self._arrival.abort()


class MultipartReceiver:
    """The body is a form (RFC 7578) with one file; other fields are small.

    `sha256` is what the request declares of the form as a whole; its part declares what the file
    has to have.
    """

    def __init__(
        self, boundary: str, open_file: OpenFile, answer: Answer, *, sha256: bytes | None = None
    ) -> None:
        self._parser = PushMultipartParser(
            boundary, max_segment_count=MAX_PARTS, header_charset="utf8"
        )
        self._open_file = open_file
        self._answer = answer
        self._arrival: Incoming | None = None
        self._segment: MultipartSegment | None = None
        self._delimiter = b"\r\n--" + boundary.encode()
        self._within_file = False  # and the parser holds nothing back
        self._fields: dict[str, bytes] = {}
        self._around_bytes = 0
        self._form_sha256 = sha256
        self._form_digest = hashlib.sha256() if sha256 else None
        self._file_sha256: bytes | None = None

    def write(self, data: bytes | memoryview) -> None:
        if not data:  # which would tell the parser that the form has ended
            if self._arrival is not None:
                self._arrival.write(data)
            return
        if self._form_digest is not None:
            self._form_digest.update(data)
        if self._within_file and self._arrival is not None:
            if not holds(data, self._delimiter) and not self._may_end_in(data):
                self._arrival.write(data)  # nothing is for the parser, which needs a copy
                return
            self._arrival.write(b"")  # the next call, by which it lets go of the piece before
        self._parse(bytes(data))
        in_file = self._segment is not None and self._segment.name == FILE_FIELD
        self._within_file = in_file and not self._may_end_in(data)

    def _parse(self, data: bytes) -> None:
        self._around_bytes += len(data)
        try:
            for event in self._parser.parse(data):
                self._take(event)
        except ParserLimitReached:
            raise TooManyParts from None
        except (MultipartError, UnicodeDecodeError):
            raise MalformedMultipart from None
        if self._around_bytes > MAX_AROUND_BYTES:
            raise TooManyParts

    def _may_end_in(self, data: bytes | memoryview) -> bool:
        """Tell whether `data` ends with what may be the beginning of a delimiter.

        The parser holds that back, so what follows is for it, too. Two bytes belong to a delimiter
        that say what it is: it is held back as well while one of them is missing.
        """
        longest = len(self._delimiter) + 1
        tail = bytes(data[-longest:])
        if len(tail) < longest:
            return True
        rest = tail[tail.rfind(b"\r") :] if b"\r" in tail else b"none"
        return self._delimiter.startswith(rest) or self._delimiter in tail

    def finish(self) -> HttpResponse:
        try:
            self._parser.close()
        except MultipartError:
            raise Truncated from None
        if self._form_digest is not None and self._form_digest.digest() != self._form_sha256:
            raise DigestMismatch
        if self._arrival is None:
            raise FileMissing
        said = self._said()
        self._arrival.learn(pipeline=said.pipeline, folder=said.folder, tags=said.tags)
        return self._answer(self._arrival.commit(sha256=self._file_sha256))

    def abort(self) -> None:
        if self._arrival is not None:
            self._arrival.abort()

    def _take(self, event: MultipartSegment | bytearray | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            self._segment = event
            self._check_head(event)
            if event.name == FILE_FIELD:
                self._begin_file(event)
        elif event is None:
            self._segment = None
        elif self._segment is not None:
            self._around_bytes -= len(event)
            self._take_data(self._segment, bytes(event))

    def _check_head(self, segment: MultipartSegment) -> None:
        """Refuse what readers of forms understand differently."""
        names = [name for name, _ in segment.headerlist]
        encoding = segment.header("Content-Transfer-Encoding", "binary")
        if len(names) != len(set(names)) or encoding.strip().lower() not in AS_IT_IS:
            raise MalformedMultipart

    def _begin_file(self, segment: MultipartSegment) -> None:
        if self._arrival is not None or segment.filename is None:
            raise MalformedMultipart if self._arrival else FileMissing
        if "\0" in (segment.content_type or ""):  # PostgreSQL knows no such text
            raise MalformedMultipart
        self._file_sha256 = declared_sha256(segment.header)
        self._arrival = self._open_file(
            name=_name_of(segment),
            declared_type=segment.content_type or "",
            said=self._said(),
        )

    def _take_data(self, segment: MultipartSegment, data: bytes) -> None:
        if segment.name == FILE_FIELD and self._arrival is not None:
            self._arrival.write(data)
            return
        field = self._fields.get(str(segment.name), b"") + data
        if len(field) > MAX_FIELD_BYTES:
            raise TooManyParts
        self._fields[str(segment.name)] = field

    def _said(self) -> Said:
        try:
            return Said.by({name: value.decode() for name, value in self._fields.items()})
        except UnicodeDecodeError:
            raise MalformedMultipart from None


def _name_of(segment: MultipartSegment) -> str:
    """Return the name of the file as it was sent.

    The parser cuts off what looks like the path of an old browser; a path is to be refused.
    """
    header = segment.header("Content-Disposition", "")
    _, options = parse_options_header(
        header, unquote=lambda value, _: content_disposition_unquote(value)
    )
    # One that ends with a backslash escapes its own quote, and is read in two ways.
    return str(options.get("filename", segment.filename))
