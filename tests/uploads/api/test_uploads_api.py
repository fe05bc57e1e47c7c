"""The HTTP doors: what they take, what they refuse, who sees what."""

import base64
import hashlib
import re
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from uploads.models import Quota, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

URL = "/api/v1/uploads/"
TEXT = b"one line\nand another\n"


def text(content: bytes = TEXT, name: str = "notes.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/plain")


def form(*parts: tuple[str, bytes], boundary: str = "frontier") -> dict[str, Any]:
    """Return a multipart body by hand, for what a well-behaved client never sends."""
    lines = b"".join(
        b"--" + boundary.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return {
        "data": lines + b"--" + boundary.encode() + b"--\r\n",
        "content_type": f"multipart/form-data; boundary={boundary}",
    }


def file_part(name: str, data: bytes = TEXT) -> tuple[str, bytes]:
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    return head + "\r\nContent-Type: text/plain", data


def problem_of(response: Any) -> str:
    assert response["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    assert body["request_id"]
    assert body["title"]
    assert body["detail"]
    return str(body["code"])


def test_post_accepts_a_file_and_says_where_it_is(client_of, owner):
    response = client_of(owner).post(URL, {"file": text()})
    assert response.status_code == 201, response.content
    body = response.json()
    assert response["Location"] == f"{URL}{body['id']}/"
    assert body["name"] == "notes.txt"
    assert body["size"] == len(TEXT)
    assert body["sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert body["media_type"] == "text/plain"
    assert body["state"] == "queued"
    assert uuid.UUID(body["run"])
    assert body["door"] == "api"


def test_put_accepts_a_raw_body(client_of, owner):
    response = client_of(owner).put(URL + "notes%20of%20today.txt", TEXT, content_type="text/plain")
    assert response.status_code == 201, response.content
    assert response.json()["name"] == "notes of today.txt"


@pytest.mark.usefixtures("gauge_of_the_queue_has_just_looked")
def test_the_answer_asks_the_database_for_nothing_that_the_intake_knows(client_of, owner):
    client = client_of(owner)
    client.put(URL + "first.bin", b"\x00\xff" * 50, content_type="text/plain")
    with CaptureQueriesContext(connection) as queries:
        response = client.put(URL + "second.bin", b"\x00\xff" * 50, content_type="text/plain")
    asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    said = response.json()
    assert said["findings"], "the answer should have something to say"
    assert said == client.get(response["Location"]).json()
    about = [re.search(r'FROM "(\w+)"', sql) for sql in asked]
    assert [found[1] for found in about if found] == [
        "accounts_user",  # of a token's family that lives
        "uploads_intakepolicy",
        "uploads_quota",
        "accounts_tokenfamily",  # once more, when the last byte is there
        "uploads_ownerkey",  # wraps the key of the upload, hides the words of its name
        "processing_pipelineversion",
        "webhooks_endpoint",
    ]


@pytest.mark.parametrize("before", [True, False])
def test_a_pipeline_may_stand_before_or_after_the_file(client_of, owner, before):
    field = ('Content-Disposition: form-data; name="pipeline"', b"any")
    parts = [field, file_part("a.txt")] if before else [file_part("a.txt"), field]
    response = client_of(owner).post(URL, **form(*parts))
    assert response.status_code == 201, response.content
    run = client_of(owner).get(f"/api/v1/runs/{response.json()['run']}/").json()
    assert run["pipeline"] == "any"


@pytest.mark.parametrize("before", [True, False])
def test_labels_may_stand_before_or_after_the_file(client_of, owner, before):
    fields = [
        ('Content-Disposition: form-data; name="tags"', b"draft, 2026"),
        ('Content-Disposition: form-data; name="folder"', b"in/may"),
    ]
    parts = [*fields, file_part("a.txt")] if before else [file_part("a.txt"), *fields]
    body = client_of(owner).post(URL, **form(*parts)).json()
    assert (body["tags"], body["folder"]) == (["2026", "draft"], "in/may")
    client = client_of(owner)
    for query in ({"tag": "draft"}, {"folder": "in/may"}):
        assert len(client.get(URL, query).json()["results"]) == 1
    assert client.get(URL, {"tag": "raft"}).json()["results"] == []


def test_put_takes_labels_from_its_query(client_of, owner):
    response = client_of(owner).put(
        URL + "a.txt?tags=draft&folder=in", TEXT, content_type="text/plain"
    )
    assert (response.json()["tags"], response.json()["folder"]) == (["draft"], "in")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"data": {"file": text(), "tags": "Draft"}}, 400, "label_malformed"),
        ({"data": {"file": text(), "tags": ",".join("abcdefghijk")}}, 400, "label_malformed"),
        ({"data": {"file": text(), "folder": "../up"}}, 400, "label_malformed"),
        ({"data": {"file": text(), "folder": "x" * 101}}, 400, "label_malformed"),
        ({"data": {"file": text(b"")}}, 400, "empty_file"),
        (form(file_part("")), 400, "name_missing"),
        (form(file_part("n" * 1000)), 400, "name_too_long"),
        (form(file_part("../../etc/passwd")), 400, "name_is_a_path"),
        (form(file_part("a.txt"), file_part("b.txt")), 400, "malformed_multipart"),
        (form(('Content-Disposition: form-data; name="other"', b"x")), 400, "file_missing"),
        (form(('Content-Disposition: form-data; name="file"', b"x")), 400, "file_missing"),
        ({"data": {"file": text(), "pipeline": "no-such"}}, 400, "unknown_pipeline"),
        ({"data": {"file": text(b"0" * 101)}}, 413, "upload_too_large"),
        (
            {"data": {"file": SimpleUploadedFile("a.exe", b"MZ\x90\x00" + b"\0" * 90)}},
            415,
            "media_type_denied",
        ),
        ({"data": b"{}", "content_type": "application/json"}, 415, "unsupported_content_type"),
        ({"data": b"x", "content_type": "multipart/form-data"}, 415, "unsupported_content_type"),
        (
            {"data": b"garbage", "content_type": "multipart/form-data; boundary=b"},
            400,
            "body_truncated",
        ),
        (
            {
                "data": form(file_part("a.txt"))["data"][:-20],
                "content_type": "multipart/form-data; boundary=frontier",
            },
            400,
            "body_truncated",
        ),
        (
            form(*[(f'Content-Disposition: form-data; name="f{i}"', b"") for i in range(50)]),
            400,
            "too_many_parts",
        ),
    ],
)
def test_post_refuses(client_of, owner, settings, body, status, code):
    settings.UPLOADS = {**settings.UPLOADS, "MAX_BYTES": 100}
    response = client_of(owner).post(URL, **body)
    assert (response.status_code, problem_of(response)) == (status, code)
    assert not Upload.objects.exists()
    assert [p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (
            {"HTTP_REPR_DIGEST": f"sha-256=:{base64.b64encode(b'0' * 32).decode()}:"},
            400,
            "digest_mismatch",
        ),
        ({"HTTP_REPR_DIGEST": "sha-256=:A:"}, 400, "digest_malformed"),
        ({"QUERY_STRING": "pipeline=no-such"}, 400, "unknown_pipeline"),
    ],
)
def test_put_refuses(client_of, owner, headers, status, code):
    response = client_of(owner).put(URL + "a.txt", TEXT, content_type="text/plain", **headers)
    assert (response.status_code, problem_of(response)) == (status, code)
    assert not Upload.objects.exists()


PADDING = b"x" * 100_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PADDING + b"\r\n" + form(file_part("a.txt"))["data"], "too_many_parts"),
        (form(file_part("a.txt"))["data"] + PADDING, "too_many_parts"),
        (form(("X: 1\r\nX: 2\r\n" + file_part("a")[0], TEXT))["data"], "malformed_multipart"),
        (
            form(('Content-Disposition: form-data; name="x"\r\n' + file_part("a")[0], TEXT))[
                "data"
            ],
            "malformed_multipart",
        ),
        (
            form((file_part("a.txt")[0] + "\r\nContent-Transfer-Encoding: base64", b"YQ=="))[
                "data"
            ],
            "malformed_multipart",
        ),
    ],
    ids=["before", "after", "header twice", "disposition twice", "base64"],
)
def test_post_refuses_what_readers_of_forms_understand_differently(client_of, owner, body, code):
    kind = "multipart/form-data; boundary=frontier"
    response = client_of(owner).post(URL, body, content_type=kind)
    assert (response.status_code, problem_of(response)) == (400, code)
    assert not Upload.objects.exists()


def test_a_large_file_is_not_padding(client_of, owner):
    response = client_of(owner).post(URL, **form(file_part("a.txt", b"a line\r\n" * 300_000)))
    assert response.status_code == 201, response.content


@pytest.mark.parametrize("encoding", ["binary", "8BIT", "7bit"])
def test_post_takes_an_encoding_that_changes_nothing(client_of, owner, encoding):
    head = file_part("a.txt")[0] + f"\r\nContent-Transfer-Encoding: {encoding}"
    assert client_of(owner).post(URL, **form((head, TEXT))).status_code == 201


def test_post_refuses_a_name_that_ends_in_a_backslash(client_of, owner):
    answer = client_of(owner).post(URL, **form(file_part("a\\")))
    assert (answer.status_code, problem_of(answer)) == (400, "name_is_a_path")


BROKEN_TEXTS = [b"\xed\xa0\x80", b"\xff", b"\x00", b"a\x00b"]


@pytest.mark.parametrize("raw", BROKEN_TEXTS)
@pytest.mark.parametrize("place", ["pipeline", "folder", "tags", "x", "name", "type"])
def test_post_refuses_what_is_no_text(client_of, owner, settings, place, raw):
    name, kind = (raw if place == part else b"any" for part in ("name", "type"))
    head = b'--b\r\nContent-Disposition: form-data; name="%s"'
    field = (head % place.encode()) + b"\r\n\r\n" + raw + b"\r\n"
    file = (head % b"file") + b'; filename="%s"\r\nContent-Type: %s' % (name, kind)
    body = field * (place not in ("name", "type")) + file + b"\r\n\r\nx\r\n--b--\r\n"
    answer = client_of(owner).post(URL, body, content_type="multipart/form-data; boundary=b")
    unread = (place, raw[-1:]) in {("x", b"\x00"), ("x", b"b")}  # text, in a field of no meaning
    assert answer.status_code == (201 if unread else 400), answer.content


@pytest.mark.parametrize("raw", ["%ED%A0%80", "%FF", "%00", "a%00b"])
@pytest.mark.parametrize("field", ["pipeline", "folder", "tags"])
def test_put_refuses_what_is_no_text(client_of, owner, field, raw):
    path = f"{URL}a.txt?{field}={raw}"
    answer = client_of(owner).put(path, TEXT, content_type="text/plain")
    assert answer.status_code == 400
    assert not Upload.objects.exists()


@pytest.mark.parametrize("header", ["\u00ed\u00a0\u0080", "a" * 300, "text/plain; charset=no-such"])
def test_put_takes_any_declared_type_as_data(client_of, owner, header):
    answer = client_of(owner).put(f"{URL}a.txt", TEXT, content_type=header)
    assert answer.status_code in (201, 415), answer.content


@pytest.mark.parametrize("name", ["%ED%A0%80", "%FF", "a%C2%80"])
def test_put_takes_any_name_as_data(client_of, owner, name):
    answer = client_of(owner).put(URL + name, TEXT, content_type="text/plain")
    assert answer.status_code == 201, answer.content


@pytest.mark.parametrize("boundary", ["boundary=\u00e9", "boundary*=utf-8''%ED%A0%80"])
def test_post_refuses_a_boundary_that_is_none(client_of, owner, boundary):
    kind = f"multipart/form-data; {boundary}"
    answer = client_of(owner).post(URL, b"--A--", content_type=kind)
    assert answer.status_code in (400, 415), answer.content


def test_a_full_quota_is_a_refusal(client_of, owner):
    Quota.objects.create(user=owner, max_bytes=5)
    response = client_of(owner).post(URL, {"file": text()})
    assert (response.status_code, problem_of(response)) == (413, "quota_exceeded")


def test_content_comes_back_whole_and_in_ranges(client_of, owner):
    client = client_of(owner)
    url = client.post(URL, {"file": text(name='od"d é.txt')}).json()["content_url"]
    whole = client.get(url)
    assert b"".join(whole.streaming_content) == TEXT
    assert whole["Content-Disposition"].startswith("attachment;")
    assert "\n" not in whole["Content-Disposition"]
    assert whole["X-Content-Type-Options"] == "nosniff"
    assert whole["ETag"] == f'"{hashlib.sha256(TEXT).hexdigest()}"'
    part = client.get(url, HTTP_RANGE="bytes=4-7")
    assert part.status_code == 206
    assert part["Content-Range"] == f"bytes 4-7/{len(TEXT)}"
    assert b"".join(part.streaming_content) == TEXT[4:8]
    beyond = client.get(url, HTTP_RANGE="bytes=999-")
    assert (beyond.status_code, problem_of(beyond)) == (416, "range_not_satisfiable")
    assert client.head(url)["Content-Length"] == str(len(TEXT))
    assert client.get(url, HTTP_IF_NONE_MATCH=whole["ETag"]).status_code == 304


def test_a_list_is_the_callers_own_newest_first_in_pages(client_of, owner, stranger):
    for number in range(3):
        client_of(owner).post(URL, {"file": text(name=f"{number}.txt")})
    client_of(stranger).post(URL, {"file": text(name="theirs.txt")})
    page = client_of(owner).get(URL, {"page_size": 2}).json()
    assert [u["name"] for u in page["results"]] == ["2.txt", "1.txt"]
    rest = client_of(owner).get(page["next"]).json()
    assert [u["name"] for u in rest["results"]] == ["0.txt"]
    assert client_of(owner).get(URL, {"state": "failed"}).json()["results"] == []


def test_a_list_costs_the_same_number_of_queries_for_any_length(
    client_of, owner, django_assert_max_num_queries
):
    client = client_of(owner)
    for number in range(5):
        client.post(URL, {"file": text(name=f"{number}.txt")})
    with django_assert_max_num_queries(5):
        client.get(URL)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/uploads/{upload}/"),
        ("delete", "/api/v1/uploads/{upload}/"),
        ("get", "/api/v1/uploads/{upload}/content/"),
        ("head", "/api/v1/uploads/{upload}/content/"),
        ("post", "/api/v1/uploads/{upload}/runs/"),
        ("get", "/api/v1/runs/{run}/"),
        ("get", "/api/v1/runs/{run}/trace/"),
        ("post", "/api/v1/runs/{run}/cancel/"),
        ("post", "/api/v1/runs/{run}/retry/"),
    ],
)
def test_what_is_not_yours_does_not_exist(client_of, owner, stranger, method, path):
    made = client_of(owner).post(URL, {"file": text()}).json()
    nothing = {"upload": uuid.uuid4(), "run": uuid.uuid4()}
    foreign = getattr(client_of(stranger), method)(
        path.format(upload=made["id"], run=made["run"]), HTTP_X_REQUEST_ID="same"
    )
    missing = getattr(client_of(stranger), method)(path.format(**nothing), HTTP_X_REQUEST_ID="same")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content
    assert Upload.objects.filter(pk=made["id"]).exists()


def test_deleting_removes_upload_and_runs(client_of, owner):
    client = client_of(owner)
    made = client.post(URL, {"file": text()}).json()
    assert client.delete(f"{URL}{made['id']}/").status_code == 204
    assert client.get(f"{URL}{made['id']}/").status_code == 404
    assert client.get(f"/api/v1/runs/{made['run']}/").status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("token", [None, "Bearer nonsense", "Bearer a.b.c"])
def test_without_a_valid_token_nothing_is_answered(client_of, method, token):
    client = client_of(None)
    if token:
        client.credentials(HTTP_AUTHORIZATION=token)
    response = getattr(client, method)(URL)
    code = "token_invalid" if token else "not_authenticated"
    assert (response.status_code, problem_of(response)) == (401, code)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_session_without_a_csrf_token_cannot_hand_in(client, owner):
    client.force_login(owner)
    strict = type(client)(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    response = strict.post(URL, {"file": text()})
    assert (response.status_code, problem_of(response)) == (403, "permission_denied")
    assert not Upload.objects.exists()
