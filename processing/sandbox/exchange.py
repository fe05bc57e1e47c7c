"""One step's talk with its child, of which nothing is believed."""

import json
import re
import time
from collections.abc import Callable
from typing import Protocol

from config.errors import AppError
from config.ranges import RangeSource
from processing.sandbox import protocol
from processing.sandbox.process import ChildProcess, Malformed
from processing.steps.contract import JSON, Limits, Output, StepFailed

MAX_ARTIFACTS = 10_000
MAX_NAME = 255  # characters of an artifact's name or media type
MAX_DETAIL = 1000  # characters of a step's own message

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ArtifactSink(Protocol):
    """Where an artifact's bytes go as they arrive."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""
        ...

    def close(self) -> None:
        """Take note that the artifact is whole."""
        ...


class TooMuch(Exception):
    """The step gave more than its limits allow."""


class Content:
    """The file of a session. What is small enough to go along with requests is read once."""

    def __init__(self, source: RangeSource) -> None:
        self._source = source
        self._whole: bytes | None = None

    @property
    def size(self) -> int:
        return self._source.size

    def whole(self) -> bytes:
        """Return all of it, for a caller that knows it to be small."""
        if self._whole is None:
            self._whole = self.read(0, self.size)
        return self._whole

    def read(self, offset: int, length: int) -> bytes:
        data = self._source.read_at(offset, length)
        if len(data) != length:
            raise EOFError("The content ended before its size.")
        return data


class Exchange:
    """The run of one step, and the count of what went in and out."""

    def __init__(
        self,
        child: ChildProcess,
        content: Content,
        limits: Limits,
        open_artifact: Callable[[str, str], ArtifactSink],
    ) -> None:
        self._child = child
        self._content = content
        self._limits = limits
        self._open_artifact = open_artifact
        self._deadline = time.monotonic() + limits.wall_s
        self._artifacts: dict[int, ArtifactSink] = {}
        self._artifact_count = 0
        self._artifact_bytes = 0
        self._parts = bytearray()
        self.bytes_in = 0
        self.bytes_out = 0

    def run(self, request: bytes) -> Output | StepFailed:
        """Return the step's answer: its output, or its own failure.

        Raises:
            Gone, Late, Malformed, TooMuch: the child is of no use any more.
        """
        self._send_request(request)
        while True:
            packet = self._child.receive(self._deadline)
            kind, body = packet[:1], packet[1:]
            if kind == protocol.DONE:
                return self._output(body)
            if kind == protocol.FAILED:
                return self._failure(body)
            self._serve(kind, body)

    def _send_request(self, request: bytes) -> None:
        content = self._small_content(request)
        if content is not None:
            head = protocol.RUN_OVER + protocol.LENGTH.pack(len(request))
            self._child.send(b"".join((head, request, content)), self._deadline)
            self.bytes_in += len(content)
        else:
            for packet in protocol.packets(protocol.RUN, request):
                self._child.send(packet, self._deadline)

    def _small_content(self, request: bytes) -> bytes | None:
        """Return content that fits into the packet of `request`.

        What cannot be read concerns the step only if it asks for it.
        """
        if not protocol.fits_along(request, self._content.size):
            return None
        try:
            return self._content.whole()
        except AppError:
            return None

    def _serve(self, kind: bytes, body: bytes) -> None:
        if kind == protocol.READ:
            self._send_content(body)
        elif kind == protocol.WRITE:
            self._write(body)
        elif kind == protocol.WHOLE:
            self._take_whole(body)
        elif kind == protocol.OPEN:
            self._open(body)
        elif kind == protocol.CLOSE:
            self._artifact(body, closing=True).close()
        elif kind == protocol.PART:
            self._collect(body)
        else:
            raise Malformed

    def _send_content(self, body: bytes) -> None:
        if len(body) != protocol.RANGE.size:
            raise Malformed
        offset, length = protocol.RANGE.unpack(body)
        if not 0 < length <= protocol.MAX_READ or offset + length > self._content.size:
            raise Malformed
        data = memoryview(self._content.read(offset, length))
        for start in range(0, length, protocol.PIECE):
            self._child.send(data[start : start + protocol.PIECE], self._deadline)
        self.bytes_in += length

    def _take_whole(self, body: bytes) -> None:
        try:
            names, data = protocol.split(body)
        except ValueError as error:
            raise Malformed from error
        number = self._artifact_count
        self._open(names)
        if data:
            self._add(self._artifacts[number], data)
        self._artifacts.pop(number).close()

    def _open(self, body: bytes) -> None:
        match _parse(body):
            case [str(name), str(media_type)] if max(len(name), len(media_type)) <= MAX_NAME:
                pass
            case _:
                raise Malformed
        if self._artifact_count == MAX_ARTIFACTS:
            raise TooMuch
        self._artifacts[self._artifact_count] = self._open_artifact(name, media_type)
        self._artifact_count += 1

    def _write(self, body: bytes) -> None:
        self._add(self._artifact(body), body[protocol.NUMBER.size :])

    def _add(self, sink: ArtifactSink, data: bytes) -> None:
        self._artifact_bytes += len(data)
        if self._artifact_bytes > self._limits.artifact_bytes:
            raise TooMuch
        self.bytes_out += len(data)
        sink.write(data)

    def _artifact(self, body: bytes, *, closing: bool = False) -> ArtifactSink:
        if len(body) < protocol.NUMBER.size:
            raise Malformed
        number = protocol.NUMBER.unpack_from(body)[0]
        try:
            return self._artifacts.pop(number) if closing else self._artifacts[number]
        except KeyError as error:
            raise Malformed from error

    def _collect(self, body: bytes) -> None:
        self._parts += body
        if len(self._parts) > self._limits.output_bytes:
            raise TooMuch

    def _output(self, body: bytes) -> Output:
        self._collect(body)
        self.bytes_out += len(self._parts)
        output = _parse(bytes(self._parts))
        if not isinstance(output, dict):
            raise Malformed
        return output

    def _failure(self, body: bytes) -> StepFailed:
        match _parse(body):
            case [str(code), str(detail)] if _CODE.fullmatch(code) and len(detail) <= MAX_DETAIL:
                return StepFailed(code, detail)
            case _:
                raise Malformed


def _parse(body: bytes) -> JSON:
    try:
        value: JSON = _DECODER.decode(body.decode())
        if b"\\u" in body:  # half a surrogate pair is no text that could be stored or shown
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    return value


def _refuse(constant: str) -> JSON:
    raise ValueError(constant)  # NaN and the infinities are not JSON


_DECODER = json.JSONDecoder(parse_constant=_refuse)
