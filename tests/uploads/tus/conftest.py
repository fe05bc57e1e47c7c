"""A tus client over Django's test client."""

import base64
from pathlib import Path
from typing import Any

import pytest

from uploads.models import Upload, UploadSession
from uploads.reading import open_content

COLLECTION = "/api/v1/tus/"
CHUNK = "application/offset+octet-stream"
TEXT = b"hello, strongroom\n"
LENGTH = len(TEXT)


def encoded(value: str | bytes) -> str:
    raw = value if isinstance(value, bytes) else value.encode()
    return base64.b64encode(raw).decode()


def metadata(**pairs: str | bytes) -> str:
    return ",".join(f"{key} {encoded(value)}" for key, value in pairs.items())


class Tus:
    """Requests of one signed-in user, or of nobody."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def request(self, method: str, path: str, body: bytes = b"", **headers: Any) -> Any:
        """Send a request; an underscore in a header's name stands for a hyphen, None drops it."""
        sent = {"Tus_Resumable": "1.0.0", **headers}
        content_type = sent.pop("Content_Type", "")
        known = {k.replace("_", "-"): str(v) for k, v in sent.items() if v is not None}
        return self.api.generic(method, path, body, content_type=content_type, headers=known)

    def post(self, length: Any = LENGTH, body: bytes = b"", **headers: Any) -> Any:
        headers = {"Upload_Metadata": metadata(filename="notes.txt"), **headers}
        if body:
            headers.setdefault("Content_Type", CHUNK)
        return self.request("POST", COLLECTION, body, Upload_Length=length, **headers)

    def create(self, length: int = LENGTH, **headers: Any) -> str:
        response = self.post(length, **headers)
        assert response.status_code == 201, response.content
        return str(response["Location"])

    def patch(self, path: str, offset: Any, body: bytes, **headers: Any) -> Any:
        headers = {"Content_Type": CHUNK, "Upload_Offset": offset, **headers}
        return self.request("PATCH", path, body, **headers)

    def head(self, path: str, **headers: Any) -> Any:
        return self.request("HEAD", path, **headers)

    def delete(self, path: str, **headers: Any) -> Any:
        return self.request("DELETE", path, **headers)


@pytest.fixture
def tus(client_of: Any, owner: Any, pipelines: None) -> Tus:
    return Tus(client_of(owner))


@pytest.fixture
def nobody(client_of: Any) -> Tus:
    return Tus(client_of(None))


@pytest.fixture
def other(client_of: Any, stranger: Any) -> Tus:
    return Tus(client_of(stranger))


def session_at(path: str) -> UploadSession:
    from uploads.tus.sessions import find

    return find(path.rstrip("/").rpartition("/")[2], None)


def content_of(upload: Upload) -> bytes:
    with open_content(upload) as content:
        return b"".join(content.chunks())


def only_upload() -> Upload:
    return Upload.objects.get()


def stored_files(settings: Any) -> list[Path]:
    return [p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file()]
