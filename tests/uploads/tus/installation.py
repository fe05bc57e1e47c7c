"""A web process of its own, which a test may kill, over a data folder that stays."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Any

import psutil

from config.edge.serving import server_command
from tests.stack import free_port, prepare

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = "/api/v1/tus/"


class Installation:
    """The data folder, and at most one web process over it."""

    def __init__(self, data: Path, *, like: Path | None = None, log: Path | None = None) -> None:
        """Make the folder, or copy one in which all is prepared."""
        self.data = data
        self._log = log
        self.port = free_port()
        temporary = data.with_name("temporary")  # where a library might spool
        temporary.mkdir()
        self.env = {
            **os.environ,
            "TMPDIR": str(temporary),
            "STRONGROOM_DATA_DIR": str(data),
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
        }
        self.web: subprocess.Popen[bytes] | None = None
        with self._output() as output:
            prepare(data, output) if like is None else shutil.copytree(like, data)
        self.start()
        account = json.loads((data / "first-login.json").read_text())["demo"]
        status, _, body = self.request(
            "POST",
            "/api/v1/token/",
            json.dumps(account).encode(),
            {"Content-Type": "application/json"},
        )
        assert status == 200, body
        self.token = json.loads(body)["access"]

    def start(self) -> None:
        """Start the web process, and return when it answers."""
        command = server_command(host="127.0.0.1", port=self.port)
        with self._output() as output:
            self.web = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        for _ in range(400):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def _output(self) -> contextlib.AbstractContextManager[IO[bytes] | None]:
        return contextlib.nullcontext() if self._log is None else self._log.open("ab")

    def kill(self) -> None:
        """End the web process as a power cut does, at whatever it is doing."""
        assert self.web is not None
        family = [psutil.Process(self.web.pid), *psutil.Process(self.web.pid).children(True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family)
        self.web.wait()

    def end(self) -> None:
        if self.web is not None and self.web.poll() is None:
            self.web.terminate()
            self.web.wait(15)

    def worker(self) -> psutil.Process:
        assert self.web is not None
        return psutil.Process(self.web.pid)

    def request(
        self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()

    def tus(
        self, method: str, path: str, body: Any = b"", **headers: Any
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): str(value) for name, value in headers.items()}
        return self.request(method, path, body, sent)

    def create(self, length: int, name: str = "big.bin") -> str:
        encoded = base64.b64encode(name.encode()).decode()
        status, headers, body = self.tus(
            "POST", COLLECTION, Upload_Length=length, Upload_Metadata=f"filename {encoded}"
        )
        assert status == 201, body
        return headers["location"]

    def offset(self, path: str) -> int:
        status, headers, body = self.tus("HEAD", path)
        assert status == 200, body
        return int(headers["upload-offset"])

    def patch(self, path: str, offset: int, body: Any) -> tuple[int, dict[str, str], bytes]:
        """Send a chunk, once more for as long as a dead writer's lease lasts."""
        kind = "application/offset+octet-stream"
        answer: tuple[int, dict[str, str], bytes] = (423, {}, b"")
        for _ in range(60):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # not to be read
                answer = self.tus("PATCH", path, body, Upload_Offset=offset, Content_Type=kind)
            if answer[0] != 423:
                break
            time.sleep(0.2)
        return answer

    def begin_patch(self, path: str, offset: int, length: int) -> socket.socket:
        """Send the head of a PATCH of `length` bytes and leave the rest to the caller."""
        lines = (
            f"PATCH {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Authorization: Bearer {self.token}",
            "Tus-Resumable: 1.0.0",
            "Content-Type: application/offset+octet-stream",
            f"Upload-Offset: {offset}",
            f"Content-Length: {length}",
            "",
            "",
        )
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall("\r\n".join(lines).encode())
        return client
