"""A line between a client and a server here, which a test can cut, close and slow down."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset, as a broken line does


class Line:
    """Passes TCP connections on to `target`, a port of this machine.

    `bytes_per_s` is what one connection may send towards the server; zero is no limit.
    """

    def __init__(self, target: int, *, bytes_per_s: int = 0) -> None:
        self.bytes_per_s = bytes_per_s
        self.cuts = 0
        self.sent = 0  # towards the server
        self._target = target
        self._down = False
        self._closing = False
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Break every connection there is."""
        with self._lock:
            ends, self._ends = self._ends, set()
        self.cuts += bool(ends)
        for end in ends:
            _break(end)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Break every connection, and every new one for as long as the block takes."""
        self._down = True
        self.cut()
        try:
            yield
        finally:
            self._down = False

    def close(self) -> None:
        """Leave nothing open."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(timeout=5)
        self.cut()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._down:
                _break(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:  # it is being started again
                _break(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._ends |= {client, server}
            for source, sink in ((client, server), (server, client)):
                passing = (source, sink, source is client)
                threading.Thread(target=self._pass_on, args=passing, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                sink.sendall(data)
                if outward:
                    self.sent += len(data)
                    if self.bytes_per_s:
                        time.sleep(len(data) / self.bytes_per_s)
            sink.shutdown(socket.SHUT_WR)
            return
        with self._lock:
            self._ends -= {source, sink}
        for end in (source, sink):
            _break(end)


def _break(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
