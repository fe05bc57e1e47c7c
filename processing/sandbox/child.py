"""The process that reads content: it runs steps for a worker until the channel closes."""

import io
import json
import os
from collections.abc import Callable
from typing import BinaryIO, NoReturn, cast

from processing.sandbox import protocol
from processing.steps.contract import Output, Step, StepContext, StepFailed


def serve(channel: int, find: Callable[[str], Step]) -> NoReturn:
    """Run the steps that are asked for on `channel`. The process must be locked in already."""
    try:
        os.write(channel, protocol.READY)
        while True:
            _answer(channel, find)
    except MemoryError:
        os._exit(protocol.EXIT_NO_MEMORY)
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the worker is done with us
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing may unwind into the zygote's code
        os._exit(1)


def _answer(channel: int, find: Callable[[str], Step]) -> None:
    request, content = _receive_request(channel)
    line = Line(channel)
    try:
        output = find(request["name"]).run(_context(line, request, content))
        answer = protocol.DONE, _encode(output)
    except StepFailed as error:
        answer = protocol.FAILED, json.dumps([error.code, error.detail]).encode()
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - its message may quote the content
        detail = f"The step raised {type(error).__name__}."
        answer = protocol.FAILED, json.dumps(["step_raised", detail]).encode()
    line.over = True
    for packet in protocol.packets(*answer):
        os.write(channel, packet)


def _receive_request(channel: int) -> tuple[protocol.Request, bytes | None]:
    """Return a request, and the content if it came along."""
    body = b""
    while packet := os.read(channel, protocol.PACKET):
        if packet[:1] == protocol.RUN_OVER:
            request, content = protocol.split(packet[1:])
            return cast(protocol.Request, json.loads(request)), content
        body += packet[1:]
        if packet[:1] == protocol.RUN:
            return cast(protocol.Request, json.loads(body)), None
    raise EOFError


_encode_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def _encode(output: Output) -> bytes:
    if not isinstance(output, dict):
        raise TypeError
    return _encode_json(output).encode()


def _context(line: "Line", request: protocol.Request, whole: bytes | None) -> StepContext:
    def open_artifact(name: str, media_type: str) -> BinaryIO:
        writer = Artifact(line, json.dumps([name, media_type]).encode())
        return cast(BinaryIO, io.BufferedWriter(writer, protocol.PIECE))

    def content() -> BinaryIO:
        if whole is not None:
            return io.BytesIO(whole)
        raw = Content(line, size=request["size"])
        return cast(BinaryIO, io.BufferedReader(raw, protocol.READ_AHEAD))

    return StepContext(
        content=content(),
        size=request["size"],
        media_type=request["media_type"],
        open_artifact=open_artifact,
        settings=request["settings"],
        results=request["results"],
    )


class Line:
    """One step's use of the channel. Once `over`, what the step left behind stays silent."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self.artifacts = 0  # that the worker knows of
        self.over = False

    def send(self, kind: bytes, *body: bytes | memoryview) -> None:
        """Send one packet.

        Raises:
            ValueError: the step has ended.
        """
        if self.over:
            raise ValueError
        os.writev(self._channel, [kind, *body])

    def receive_into(self, view: memoryview) -> None:
        """Fill `view`, whose length is what was asked for."""
        for start in range(0, len(view), protocol.PIECE):
            if not os.readv(self._channel, [view[start : start + protocol.PIECE]]):
                raise EOFError


class Content(io.RawIOBase):
    """The file's plaintext, fetched from the worker where it is read."""

    def __init__(self, line: Line, *, size: int) -> None:
        super().__init__()
        self._line = line
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._size - self._position, protocol.MAX_READ))
        if length:
            self._line.send(protocol.READ, protocol.RANGE.pack(self._position, length))
            self._line.receive_into(view[:length])
            self._position += length
        return length


class Artifact(io.RawIOBase):
    """An output file, sent to the worker as it is written; as one packet if it fits into one."""

    def __init__(self, line: Line, names: bytes) -> None:
        super().__init__()
        self._line = line
        self._names = names
        self._number = b""  # once the worker knows of it
        self._first = b""  # what is kept until it is clear whether more comes

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        piece = memoryview(data).cast("B")[: protocol.PIECE]
        is_first = not self._number and not self._first
        if is_first and protocol.fits_along(self._names, len(piece)):
            self._first = bytes(piece)
            return len(piece)
        if not self._number:
            self._number = protocol.NUMBER.pack(self._announce(protocol.OPEN, self._names))
            self._put(self._first)
            self._first = b""
        self._put(piece)
        return len(piece)

    def _put(self, data: bytes | memoryview) -> None:
        if data:
            self._line.send(protocol.WRITE, self._number, data)

    def close(self) -> None:
        if not self.closed and not self._line.over:
            if self._number:
                self._line.send(protocol.CLOSE, self._number)
            else:
                length = protocol.LENGTH.pack(len(self._names))
                self._announce(protocol.WHOLE, length, self._names, self._first)
        super().close()

    def _announce(self, kind: bytes, *body: bytes) -> int:
        self._line.send(kind, *body)
        self._line.artifacts += 1
        return self._line.artifacts - 1
