"""What a client says of an upload that is not for clients to say."""

import base64
from typing import Any

import pytest

from uploads.models import Upload, UploadState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

TEXT = b"first\nsecond\n"


def fields(stranger: Any) -> dict[str, str]:
    return {
        "id": "00000000-0000-7000-8000-000000000000",
        "owner": str(stranger.pk),
        "owner_id": str(stranger.pk),
        "state": "succeeded",
        "verdict": "passed",
        "held": "false",
        "size": "1",
        "sha256": "0" * 64,
        "media_type": "image/png",
        "door": "command",
        "path": "/etc/passwd",
        "parent": "00000000-0000-7000-8000-000000000000",
        "idempotency": "folder:x",
        "quota": "0",
        "max_bytes": "999999999999",
        "is_staff": "true",
        "is_superuser": "true",
    }


def by_form(api: Any, said: dict[str, str]) -> Any:
    names = list(said)
    half = len(names) // 2
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    before = "".join(part.format(name, said[name]) for name in names[:half])
    file = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = before.encode() + file.encode() + TEXT + b"\r\n--b--\r\n"
    return api.generic("POST", "/api/v1/uploads/", body, "multipart/form-data; boundary=b")


def by_put(api: Any, said: dict[str, str]) -> Any:
    query = "&".join(f"{name}={value}" for name, value in said.items())
    return api.generic("PUT", f"/api/v1/uploads/a.txt?{query}", TEXT, "text/plain")


def by_tus(api: Any, said: dict[str, str]) -> Any:
    pairs = {"filename": "a.txt", **said}
    metadata = ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items()
    )
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(TEXT)),
        "Upload-Metadata": metadata,
    }
    kind = "application/offset+octet-stream"
    return api.generic("POST", "/api/v1/tus/", TEXT, content_type=kind, headers=headers)


@pytest.mark.parametrize("send", [by_form, by_put, by_tus])
def test_fields_that_are_not_for_clients_change_nothing(
    client_of: Any, owner: Any, stranger: Any, send: Any
) -> None:
    said = fields(stranger)
    answer = send(client_of(owner), said)
    assert answer.status_code == 201, answer.content
    upload = Upload.objects.get()
    assert (upload.owner, upload.state) == (owner, UploadState.QUEUED)
    assert (upload.size, upload.media_type) == (len(TEXT), "text/plain")
    assert upload.parent is None
    told = {name: str(getattr(upload, name, "")) for name in said}
    kept = {"verdict", "held", "is_staff", "is_superuser", "quota", "max_bytes", "path"}
    same = {name for name, value in said.items() if name not in kept and told[name] == value}
    assert same == set()
    owner.refresh_from_db()
    assert not owner.is_staff
    assert not owner.is_superuser
