"""A client that costs little beside the server it talks to."""

import base64
import os
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

BOUNDARY = "a-boundary-that-is-not-in-the-file"


@dataclass(frozen=True)
class File:
    """What is sent: `size` bytes of the file at `path`."""

    path: Path
    size: int

    def send(self, client: socket.socket) -> None:
        with self.path.open("rb") as content:
            sent = 0
            while sent < self.size:
                sent += os.sendfile(client.fileno(), content.fileno(), sent, self.size - sent)


def exchange(
    port: int,
    line: str,
    headers: dict[str, str],
    file: File | None = None,
    *,
    around: tuple[bytes, bytes] = (b"", b""),
) -> tuple[dict[str, str], bytes]:
    """Send one request; return headers and body of its answer, which must be a success."""
    before, after = around
    length = len(before) + (file.size if file else 0) + len(after)
    head = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {length}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join([*head, "", ""]).encode() + before)
        if file is not None:
            file.send(client)
        client.sendall(after)
        response = HTTPResponse(client)
        response.begin()
        body = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{line} was answered {response.status}: {body[:200]!r}")
        return {name.lower(): value for name, value in response.getheaders()}, body


def form(file: str) -> tuple[bytes, bytes]:
    """Return what stands before and after a file in a form."""
    before = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{file}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return before.encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK_TYPE = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


def by_tus(port: int, path: str, headers: dict[str, str], file: File) -> dict[str, str]:
    """Begin an upload and send it in one PATCH, as tus-js-client does; return its headers."""
    name = base64.b64encode(b"big.bin").decode()
    begin = {**TUS, **headers, "Upload-Length": str(file.size)}
    said, _ = exchange(port, f"POST {path}", {**begin, "Upload-Metadata": f"filename {name}"})
    address = "/" + said["location"].partition("//")[2].partition("/")[2]
    address = address if "//" in said["location"] else said["location"]
    return exchange(port, f"PATCH {address}", {**TUS, **headers, **CHUNK_TYPE}, file)[0]
