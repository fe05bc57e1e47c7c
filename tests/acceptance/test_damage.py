"""Ranges of an encrypted file, and what is said when its bytes are not what was written."""

import base64
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.stack import Stack, ended, upload

CONTENT = b"".join(b"line %07d of the file\n" % n for n in range(60_000))  # several segments
DIGEST = hashlib.sha256(CONTENT)


@pytest.fixture(scope="module")
def path(stack: Stack) -> str:
    with stack.client() as demo:
        return f"/api/v1/uploads/{upload(demo, 'ranges.txt', CONTENT)['id']}/content/"


ETAG = f'"{DIGEST.hexdigest()}"'
SIZE = len(CONTENT)
RANGES = [
    ({}, 200, 0, SIZE),
    ({"Range": "bytes=0-0"}, 206, 0, 1),
    ({"Range": "bytes=262000-263000"}, 206, 262_000, 263_001),
    ({"Range": f"bytes={SIZE - 5}-"}, 206, SIZE - 5, SIZE),
    ({"Range": "bytes=-70000"}, 206, SIZE - 70_000, SIZE),
    ({"Range": "bytes=5-9", "If-Range": ETAG}, 206, 5, 10),
    ({"Range": "bytes=5-9", "If-Range": '"another"'}, 200, 0, SIZE),
]


@pytest.mark.parametrize(("headers", "status", "start", "end"), RANGES)
def test_ranges_are_right(demo: httpx2.Client, path, headers, status, start, end) -> None:
    answer = demo.get(path, headers=headers)
    assert (answer.status_code, answer.content == CONTENT[start:end]) == (status, True)
    whole = base64.b64encode(DIGEST.digest()).decode()
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Repr-Digest"] == f"sha-256=:{whole}:"  # of the whole, RFC 9530
    assert answer.headers["Accept-Ranges"] == "bytes"
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"


def test_a_range_behind_the_end_is_refused(demo: httpx2.Client, path: str) -> None:
    answer = demo.get(path, headers={"Range": f"bytes={SIZE}-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


def test_head_tells_all_and_sends_nothing(demo: httpx2.Client, path: str) -> None:
    answer = demo.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["Content-Length"], answer.headers["ETag"]) == (str(SIZE), ETAG)


def blob_of(stack: Stack, upload_id: str) -> Path:
    """Return where the bytes of an upload lie."""
    database = sqlite3.connect(stack.data / "strongroom.sqlite3")
    asked = "SELECT id FROM uploads_blob WHERE upload_id = ? AND is_content"
    ((name,),) = database.execute(asked, [upload_id.replace("-", "")]).fetchall()
    database.close()
    return stack.data / "blobs" / name[:2] / name


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at:][1:]


HARMS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("a bit of the head", flip(5)),
    ("a bit of the last segment", flip(-2)),
    ("the end is cut", lambda raw: raw[:-1]),
    ("nothing is left", lambda _: b""),
]


@pytest.mark.parametrize("harm", [row[1] for row in HARMS], ids=[row[0] for row in HARMS])
def test_damage_is_answered_and_everything_else_goes_on(stack, demo: httpx2.Client, harm) -> None:
    body = upload(demo, "damaged.txt", CONTENT + str(harm).encode())
    ended(demo, body["run"])
    blob = blob_of(stack, body["id"])
    blob.write_bytes(harm(blob.read_bytes()))

    answer = demo.get(f"/api/v1/uploads/{body['id']}/content/")
    assert (answer.status_code, answer.json()["code"]) == (500, "blob_damaged")
    again = demo.post(f"/api/v1/uploads/{body['id']}/runs/", json={})
    run = ended(demo, again.json()["id"])
    assert (run["state"], run["error_code"]) == ("failed", "blob_damaged")

    other = upload(demo, "whole.txt", CONTENT)
    assert ended(demo, other["run"])["state"] == "succeeded"
    assert demo.get(f"/api/v1/uploads/{other['id']}/content/").content == CONTENT
    assert _metric(stack, "strongroom_damaged_blobs") >= 1
    assert _metric(stack, "strongroom_damage_met_total") >= 2
    said = [line for line in stack.output().splitlines() if "stored bytes at fault" in line]
    assert [line for line in said if body["id"] in line]


def _metric(stack: Stack, name: str) -> float:
    lines = httpx2.get(f"{stack.url}/metrics").text.splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
    return float(value)


def test_damage_in_the_middle_of_a_file_cuts_the_answer(stack, demo: httpx2.Client) -> None:
    """The beginning may be on its way by then; no client takes it for the whole."""
    content = CONTENT * 4
    body = upload(demo, "middle.txt", content)
    ended(demo, body["run"])
    blob = blob_of(stack, body["id"])
    raw = bytearray(blob.read_bytes())
    raw[len(raw) // 2] ^= 1
    blob.write_bytes(bytes(raw))
    got = b""
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        demo.stream("GET", f"/api/v1/uploads/{body['id']}/content/") as answer,
    ):
        for piece in answer.iter_bytes():
            got += piece
    assert content.startswith(got)
    assert len(got) < len(content)
    tail = demo.get(f"/api/v1/uploads/{body['id']}/content/", headers={"Range": "bytes=-9"})
    assert (tail.status_code, tail.content) == (206, content[-9:])
