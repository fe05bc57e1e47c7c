"""A forbidden file of 5 GB is refused after its first segment, at every door, whatever is declared.

The client sends one segment and not a byte more: who waited for a second one would never answer.
"""

import base64
import contextlib
import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.stack import Stack
from uploads.encryption import SEGMENT_BYTES
from uploads.media_types import HEAD_BYTES

GIANT = 5 * 1024**3
PROGRAM = b"MZ\x90\x00" + bytes(60) + b"PE\0\0" + bytes(SEGMENT_BYTES - 68)
LINUX_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0" + bytes(SEGMENT_BYTES - 20)
LIES = [("tool.exe", "application/x-msdownload"), ("notes.txt", "text/plain"), ("a", "image/png")]
Request = tuple[str, dict[str, str], bytes]


def put(name: str, kind: str, _: httpx2.Client) -> Request:
    return f"PUT /api/v1/uploads/{name}", {"Content-Type": kind}, b""


def form(name: str, kind: str, _: httpx2.Client) -> Request:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    before = f"{head}Content-Type: {kind}\r\n\r\n".encode()
    return "POST /api/v1/uploads/", {"Content-Type": "multipart/form-data; boundary=b"}, before


def said(name: str, kind: str) -> str:
    pairs = {"filename": name, "filetype": kind}
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())


def tus_post(name: str, kind: str, _: httpx2.Client) -> Request:
    headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    headers |= {"Upload-Length": str(GIANT), "Upload-Metadata": said(name, kind)}
    return "POST /api/v1/tus/", headers, b""


def tus_patch(name: str, kind: str, demo: httpx2.Client) -> Request:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Metadata": said(name, kind)}
    path = demo.post("/api/v1/tus/", headers={**headers, "Upload-Length": str(GIANT)}).headers
    kind = "application/offset+octet-stream"
    headers = {"Tus-Resumable": "1.0.0", "Content-Type": kind, "Upload-Offset": "0"}
    return f"PATCH {path['Location']}", headers, b""


@contextlib.contextmanager
def begun(
    stack: Stack, demo: httpx2.Client, request: Request, size: int
) -> Iterator[socket.socket]:
    """Send the head of a request, and what comes before the file."""
    line, headers, before = request
    lines = [f"{line} HTTP/1.1", f"Host: localhost:{stack.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Authorization: {demo.headers['Authorization']}", f"Content-Length: {size}", "", ""]
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as client:
        client.sendall("\r\n".join(lines).encode() + before)
        yield client


@pytest.mark.parametrize("door", [put, form, tus_post, tus_patch])
@pytest.mark.parametrize("content", [PROGRAM, LINUX_PROGRAM], ids=["exe", "elf"])
@pytest.mark.parametrize(("name", "kind"), LIES)
def test_the_first_segment_is_enough(stack, demo, door, content, name, kind) -> None:
    request = door(name, kind, demo)
    size = GIANT if door in (tus_post, tus_patch) else GIANT + 1000
    with begun(stack, demo, request, size) as client:
        client.sendall(content)
        answer = client.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 415 "), answer
    assert json.loads(body)["code"] == "media_type_denied"


@pytest.mark.parametrize("door", [put, form])
def test_nobody_is_refused_before_the_type_can_be_told(stack, demo, door) -> None:
    """The other side: less than that is waited for, so the answer above is that of the content."""
    with begun(stack, demo, door("notes.txt", "text/plain", demo), GIANT) as client:
        client.sendall(PROGRAM[: HEAD_BYTES - 1])
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(1)
