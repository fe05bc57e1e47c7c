"""Digests that a client declares are compared, or refused: never passed over."""

import base64
import hashlib
from typing import Any

import pytest

from tests.uploads.api.test_uploads_api import TEXT, URL, form, problem_of
from uploads.models import Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

HEADERS = ["Repr-Digest", "Content-Digest"]
BOUNDARY = "multipart/form-data; boundary=frontier"


def digest(content: bytes, algorithm: str = "sha-256") -> str:
    raw = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(raw).decode()}:"


RIGHT, WRONG = digest(TEXT), digest(b"other")
SHORT = "sha-256=:" + base64.b64encode(b"short").decode() + ":"

# What is declared of a file, and what is answered.
DECLARED = [
    (RIGHT, 201, None),
    (f"{digest(TEXT, 'sha-512')}, {RIGHT}", 201, None),
    (f"sha-256=:AAAA:,\t{RIGHT}", 201, None),  # of two members of one name the last counts
    (WRONG, 400, "digest_mismatch"),
    (f"{RIGHT}, {WRONG}", 400, "digest_mismatch"),
    (digest(TEXT, "sha-512"), 400, "digest_malformed"),
    ("md5=:1B2M2Y8AsgTpgAmy7PhCfg==:", 400, "digest_malformed"),
    (SHORT, 400, "digest_malformed"),
    (RIGHT.replace(":", ""), 400, "digest_malformed"),
    (RIGHT + "x", 400, "digest_malformed"),
    ("sha-256=:A:", 400, "digest_malformed"),
    ("sha-256=?1", 400, "digest_malformed"),
    ("", 400, "digest_malformed"),
]


def file_of(content: bytes, **headers: str) -> dict[str, Any]:
    lines = ['Content-Disposition: form-data; name="file"; filename="a.txt"']
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return form(("\r\n".join(lines), content))


def check(response: Any, status: int, code: str | None) -> None:
    assert response.status_code == status, response.content
    assert Upload.objects.count() == (status == 201)
    if code:
        assert problem_of(response) == code


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("value", "status", "code"), DECLARED)
def test_a_digest_of_a_raw_body(client_of, owner, header, value, status, code):
    headers = {header: value}
    response = client_of(owner).put(URL + "a.txt", TEXT, content_type="text/plain", headers=headers)
    check(response, status, code)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("value", "status", "code"), DECLARED)
def test_a_digest_in_the_part_of_a_form_is_of_the_file(
    client_of, owner, header, value, status, code
):
    check(client_of(owner).post(URL, **file_of(TEXT, **{header: value})), status, code)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("right", [True, False])
def test_a_digest_of_the_request_is_of_the_form_as_a_whole(client_of, owner, header, right):
    body = file_of(TEXT)
    headers = {header: digest(body["data"] if right else TEXT)}
    response = client_of(owner).post(URL, **body, headers=headers)
    check(response, *((201, None) if right else (400, "digest_mismatch")))


def test_two_headers_that_contradict_each_other_cannot_both_be_right(client_of, owner):
    headers = {"Repr-Digest": RIGHT, "Content-Digest": WRONG}
    response = client_of(owner).put(URL + "a.txt", TEXT, content_type="text/plain", headers=headers)
    check(response, 400, "digest_mismatch")


def test_a_repeated_request_is_compared_with_its_digest_too(client_of, owner):
    api = client_of(owner)
    for value, status in ((RIGHT, 201), (WRONG, 400)):
        headers = {"Idempotency-Key": "k", "Repr-Digest": value}
        response = api.put(URL + "a.txt", TEXT, content_type="text/plain", headers=headers)
        assert response.status_code == status


def test_a_download_says_what_it_has_to_hash_to(client_of, owner):
    api = client_of(owner)
    url = api.put(URL + "a.txt", TEXT, content_type="text/plain").json()["content_url"]
    for extra in ({}, {"Range": "bytes=2-3"}):
        assert api.get(url, headers=extra)["Repr-Digest"] == RIGHT
    modified = api.get(url)["Last-Modified"]
    assert api.get(url, headers={"If-Modified-Since": modified}).status_code == 304
