"""A clamd that answers as it is told to."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

VERSION = b"ClamAV 1.4.6/27890/Wed Nov 25 08:00:00 2026\0"


class FakeClamd:
    """Listens on a Unix socket. `answer` gets the connection, and what was streamed into it."""

    def __init__(
        self,
        path: Path,
        answer: Callable[[socket.socket, bytes], None] | bytes = b"stream: OK\0",
        *,
        version: bytes = VERSION,
        reads_at_most: int | None = None,
    ) -> None:
        self.address = f"unix:{path}"
        self.streamed: list[bytes] = []
        self._answer = answer
        self._version = version
        self._reads_at_most = reads_at_most
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                self._converse(line)

    def _converse(self, line: socket.socket) -> None:
        command = b""
        while not command.endswith(b"\0"):
            command += _exactly(line, 1)
        if command == b"zVERSION\0":
            line.sendall(self._version)
            return
        content = self._read_stream(line)
        self.streamed.append(content)
        if isinstance(self._answer, bytes):
            line.sendall(self._answer)
        else:
            self._answer(line, content)

    def _read_stream(self, line: socket.socket) -> bytes:
        content = b""
        while True:
            (length,) = struct.unpack(">I", _exactly(line, 4))
            if not length:
                return content
            content += _exactly(line, length)
            if self._reads_at_most is not None and len(content) > self._reads_at_most:
                return content


def _exactly(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = line.recv(length - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data
