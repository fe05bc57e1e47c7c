"""Starts and stops a real server on a port of this machine."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from config.edge.serving import server_command
from tests.stack import free_port

ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024


class Server:
    """One web process, and what a client does with it."""

    def __init__(self, application: str, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        command = server_command(host="127.0.0.1", port=self.port, application=application)
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, env=dict(os.environ))
        self._wait_until_it_answers()
        self.worker = psutil.Process(self.process.pid)

    def _wait_until_it_answers(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError("the server did not start")

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(10)
        return client

    def http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, target: str, **headers: str) -> tuple[int, bytes]:
        with contextlib.closing(self.http()) as connection:
            connection.request("GET", target, headers=headers)
            with connection.getresponse() as response:
                return response.status, response.read()

    def open(self, method: str, target: str, *headers: str, body: bytes = b"") -> socket.socket:
        """Begin a request and leave it to the caller."""
        lines = (f"{method} {target} HTTP/1.1", "Host: testserver", *headers, "", "")
        client = self.connect()
        client.sendall("\r\n".join(lines).encode() + body)
        return client

    def reset_peak(self) -> int:
        """Forget the worker's peak memory; return its memory now, in bytes."""
        Path(f"/proc/{self.worker.pid}/clear_refs").write_text("5")
        return int(self.worker.memory_info().rss)

    def peak(self) -> int:
        """Return the worker's peak memory since it was forgotten, in bytes."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def cpu_s(self) -> float:
        times = self.worker.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> float:
        """Return how many seconds it took to stop."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began


@contextlib.contextmanager
def running(application: str, options: Sequence[str] = ()) -> Iterator[Server]:
    server = Server(application, options)
    try:
        yield server
    finally:
        server.stop()
