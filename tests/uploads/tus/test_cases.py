"""The protocol as one table: how an upload stands, what is asked, what is answered and left.

Beside the tests of requests, which say why; here are the corners that clients reach.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from tests.uploads.tus.conftest import CHUNK, COLLECTION, LENGTH, TEXT, Tus, metadata, session_at
from tests.uploads.tus.test_requests import EXECUTABLE, checksum
from uploads.models import Upload, UploadSession
from uploads.tus.receiver import open_receiver

pytestmark = pytest.mark.django_db

HALF = 7
REST = TEXT[HALF:]
SHA1_OF_NOTHING = checksum(b"")


@dataclass(frozen=True)
class Case:
    """`offset` is what HEAD tells afterwards, `answer` what the headers of the answer say.

    Headers with None are left out; an underscore stands for a hyphen.
    """

    name: str
    state: str
    method: str
    status: int
    code: str = ""
    body: bytes = b""
    headers: dict[str, Any] = field(default_factory=dict)
    offset: int | None = None
    answer: dict[str, str | None] = field(default_factory=dict)
    at: str = ""  # appended to the address


def begin(name: str, status: int, code: str = "", body: bytes = b"", **headers: Any) -> Case:
    return Case(name, "none", "POST", status, code, body, headers)


def patch(
    name: str,
    status: int,
    code: str = "",
    body: bytes = REST,
    state: str = "half",
    offset: int | None = HALF,
    **headers: Any,
) -> Case:
    return Case(name, state, "PATCH", status, code, body, headers, offset)


def said(pairs: str) -> dict[str, Any]:
    return {"Upload_Metadata": pairs}


CASES = [
    # --- what is offered
    Case("OPTIONS of the collection", "none", "OPTIONS", 204, answer={"Tus-Version": "1.0.0"}),
    Case("OPTIONS of a session", "half", "OPTIONS", 204, offset=HALF),
    Case("OPTIONS of no session", "ended", "OPTIONS", 204),
    Case(
        "a preflight of another site is not answered",
        "none",
        "OPTIONS",
        204,
        headers={"Origin": "https://elsewhere.test", "Access_Control_Request_Method": "PATCH"},
        answer={"Access-Control-Allow-Origin": None, "Access-Control-Allow-Methods": None},
    ),
    Case(
        "a request of another site is not exposed to it",
        "half",
        "HEAD",
        200,
        headers={"Origin": "https://elsewhere.test"},
        answer={"Access-Control-Allow-Origin": None, "Access-Control-Expose-Headers": None},
    ),
    # --- the version
    *(
        Case(
            f"{method} with version {version!r}",
            "half",
            method,
            412,
            "" if method == "HEAD" else "tus_version_unsupported",
            body=REST if method == "PATCH" else b"",
            headers={"Tus_Resumable": version},
            offset=HALF,
            answer={"Tus-Version": "1.0.0", "Tus-Resumable": "1.0.0"},
        )
        for method in ("PATCH", "HEAD", "DELETE")
        for version in (None, "1.0", "1.0.0, 1.0.0")
    ),
    # --- beginning
    begin("no length", 400, "tus_length_invalid", Upload_Length=None),
    begin("a length with a sign", 400, "tus_length_invalid", Upload_Length="+5"),
    begin("a length in hexadecimal", 400, "tus_length_invalid", Upload_Length="0x5"),
    begin("a length with a fraction", 400, "tus_length_invalid", Upload_Length="5.0"),
    begin("an empty length", 400, "tus_length_invalid", Upload_Length=""),
    begin("a length twice", 400, "tus_length_invalid", Upload_Length="5,5"),
    begin("a length of 2^64", 413, "upload_too_large", Upload_Length=2**64),
    begin("an empty file", 400, "empty_file", Upload_Length="0"),
    begin("leading zeros", 201, "", Upload_Length=f"000{LENGTH}"),
    begin("a length that comes later", 400, "tus_extension_unsupported", Upload_Defer_Length="1"),
    begin("a part of a whole", 400, "tus_extension_unsupported", Upload_Concat="partial"),
    begin(
        "a whole of parts",
        400,
        "tus_extension_unsupported",
        Upload_Length=None,
        Upload_Concat="final;/api/v1/tus/a /api/v1/tus/b",
    ),
    begin("no metadata", 201, Upload_Metadata=None),
    begin("empty metadata", 201, **said("")),
    begin("a key without a value", 201, **said("filename YQ==,is_confidential")),
    begin("spaces around pairs", 201, **said("filename YQ== , colour Ymx1ZQ==")),
    begin("metadata of 3 KB", 201, **said(f"filename YQ==,note {'YWFh' * 750}")),
    begin("a value not in base64", 400, "tus_metadata_invalid", **said("filename a.txt")),
    begin("base64 of the web", 400, "tus_metadata_invalid", **said("filename _-8=")),
    begin("base64 without its padding", 400, "tus_metadata_invalid", **said("filename YQ")),
    begin("a key twice", 400, "tus_metadata_invalid", **said("a YQ==,a Yg==")),
    begin("no key", 400, "tus_metadata_invalid", **said(",filename YQ==")),
    begin("two spaces", 400, "tus_metadata_invalid", **said("filename  YQ== YQ==")),
    begin("a name that is no text", 400, "tus_metadata_invalid", **said("filename /w==")),
    begin("a name with a folder", 400, "name_is_a_path", **said(metadata(filename="a/b"))),
    begin("tags that are none", 400, "label_malformed", **said(metadata(tags="UPPER case"))),
    begin("the first bytes at once", 201, body=TEXT[:HALF]),
    begin("all bytes at once", 201, body=TEXT),
    begin("one byte too many at once", 413, "tus_length_exceeded", body=TEXT + b"!"),
    begin("first bytes of another type", 415, "unsupported_content_type", TEXT, Content_Type="a/b"),
    begin("first bytes of no type", 415, "unsupported_content_type", TEXT, Content_Type=None),
    begin(
        "first bytes with a wrong sum",
        460,
        "tus_checksum_mismatch",
        TEXT,
        Upload_Checksum=checksum(b""),
    ),
    begin("a sum in a trailer", 400, "tus_extension_unsupported", TEXT, Trailer="Upload-Checksum"),
    begin(
        "bytes that are coded", 415, "content_encoding_unsupported", TEXT, Content_Encoding="gzip"
    ),
    begin(
        "a program, at once",
        415,
        "media_type_denied",
        EXECUTABLE,
        Upload_Length=len(EXECUTABLE),
    ),
    Case("another method of the collection", "none", "PATCH", 405, "method_not_allowed"),
    Case("HEAD of the collection", "none", "HEAD", 405),
    Case("DELETE of the collection", "none", "DELETE", 405, "method_not_allowed"),
    # --- the next bytes
    patch("the rest", 204, offset=LENGTH),
    patch("the first bytes", 204, body=TEXT[:3], state="begun", offset=3, Upload_Offset=0),
    patch("no bytes", 204, body=b""),
    patch("no bytes, at the beginning", 204, body=b"", state="begun", offset=0, Upload_Offset=0),
    patch("no offset", 400, "tus_offset_invalid", Upload_Offset=None),
    patch("an empty offset", 400, "tus_offset_invalid", Upload_Offset=""),
    patch("a negative offset", 400, "tus_offset_invalid", Upload_Offset="-7"),
    patch("an offset with a sign", 400, "tus_offset_invalid", Upload_Offset="+7"),
    patch("an offset that is no number", 400, "tus_offset_invalid", Upload_Offset="seven"),
    patch("an offset twice", 400, "tus_offset_invalid", Upload_Offset="7, 7"),
    patch("an offset of 2^64", 400, "tus_offset_invalid", Upload_Offset=2**64),
    patch("an earlier offset", 409, "tus_offset_mismatch", Upload_Offset=HALF - 1),
    patch("a later offset", 409, "tus_offset_mismatch", Upload_Offset=HALF + 1),
    patch("the offset of the end", 409, "tus_offset_mismatch", body=b"", Upload_Offset=LENGTH),
    patch("one byte too many", 413, "tus_length_exceeded", body=REST + b"!"),
    patch("another type", 415, "unsupported_content_type", Content_Type="application/octet-stream"),
    patch("no type", 415, "unsupported_content_type", Content_Type=None),
    patch("a type with a parameter", 204, offset=LENGTH, Content_Type=CHUNK + "; a=b"),
    patch("a right SHA-1", 204, offset=LENGTH, Upload_Checksum=checksum(REST)),
    patch("a right SHA-256", 204, offset=LENGTH, Upload_Checksum=checksum(REST, "sha256")),
    patch("a right sum of nothing", 204, body=b"", Upload_Checksum=SHA1_OF_NOTHING),
    patch(
        "a wrong sum of nothing", 460, "tus_checksum_mismatch", b"", Upload_Checksum=checksum(b"x")
    ),
    patch("a wrong sum of the rest", 460, "tus_checksum_mismatch", Upload_Checksum=SHA1_OF_NOTHING),
    patch(
        "a wrong sum of a piece",
        460,
        "tus_checksum_mismatch",
        b"abc",
        Upload_Checksum=checksum(b"x"),
    ),
    patch("an unknown sum", 400, "tus_checksum_invalid", Upload_Checksum="md5 YQ=="),
    patch("a sum without a digest", 400, "tus_checksum_invalid", Upload_Checksum="sha1"),
    patch("a sum that is too short", 400, "tus_checksum_invalid", Upload_Checksum="sha1 YQ=="),
    patch("a sum not in base64", 400, "tus_checksum_invalid", Upload_Checksum="sha1 !!!!"),
    patch("a sum in hexadecimal", 400, "tus_checksum_invalid", Upload_Checksum="sha1 " + "a" * 40),
    patch("an empty sum", 400, "tus_checksum_invalid", Upload_Checksum=""),
    patch("a sum in a trailer, later", 400, "tus_extension_unsupported", Trailer="Upload-Checksum"),
    patch("coded bytes", 415, "content_encoding_unsupported", Content_Encoding="gzip"),
    patch("a range of bytes", 400, "content_range_unsupported", Content_Range="bytes 7-17/18"),
    # --- by another method
    Case(
        "POST that stands for PATCH",
        "half",
        "POST",
        204,
        body=REST,
        headers={"X_HTTP_Method_Override": "PATCH", "Upload_Offset": HALF, "Content_Type": CHUNK},
        offset=LENGTH,
    ),
    Case(
        "POST that stands for HEAD",
        "half",
        "POST",
        200,
        headers={"X_HTTP_Method_Override": "HEAD"},
        answer={"Upload-Offset": str(HALF)},
    ),
    Case(
        "POST that stands for DELETE",
        "half",
        "POST",
        204,
        headers={"X_HTTP_Method_Override": "DELETE"},
    ),
    Case("POST that stands for itself", "half", "POST", 405, "method_not_allowed", offset=HALF),
    Case("GET", "half", "GET", 405, "method_not_allowed", offset=HALF),
    Case("PUT", "half", "PUT", 405, "method_not_allowed", body=REST, offset=HALF),
    # --- after the end
    patch(
        "nothing, after the end", 204, body=b"", state="whole", offset=LENGTH, Upload_Offset=LENGTH
    ),
    patch("the last bytes again", 204, state="whole", offset=LENGTH),
    patch("all bytes again", 204, body=TEXT, state="whole", offset=LENGTH, Upload_Offset=0),
    patch(
        "more after the end",
        413,
        "tus_length_exceeded",
        b"!",
        "whole",
        LENGTH,
        Upload_Offset=LENGTH,
    ),
    patch(
        "the first bytes again",
        409,
        "tus_offset_mismatch",
        TEXT[:3],
        "whole",
        LENGTH,
        Upload_Offset=0,
    ),
    Case("DELETE of a finished one", "whole", "DELETE", 204),
    # --- what is not there
    *(
        Case(
            f"{method} of one that {state}",
            state,
            method,
            status,
            "" if method == "HEAD" else code,
            body=REST if method == "PATCH" else b"",
        )
        for state, status, code in (
            ("ended", 404, "not_found"),
            ("expired", 410, "upload_session_gone"),
            ("is another's", 404, "not_found"),
        )
        for method in ("HEAD", "PATCH", "DELETE")
    ),
    Case("HEAD below a session", "half", "HEAD", 404, at="/x", offset=HALF),
    Case("an address with a query", "half", "HEAD", 200, at="?a=b", offset=HALF),
    # --- somebody else writes
    patch("a second writer", 423, "upload_session_locked", state="written", offset=HALF),
    patch("no bytes of a second writer", 423, "upload_session_locked", b"", "written"),
    Case("HEAD while somebody writes", "written", "HEAD", 200, answer={"Upload-Offset": str(HALF)}),
]


@pytest.fixture
def standing(tus: Tus, other: Tus) -> Any:
    """Return the address of an upload that stands as a case says."""
    writers = []

    def stand(state: str) -> str:
        if state == "none":
            return COLLECTION
        path = (other if state == "is another's" else tus).create()
        if state != "begun":
            body = TEXT if state == "whole" else TEXT[:HALF]
            writing = other if state == "is another's" else tus
            assert writing.patch(path, 0, body).status_code == 204
        if state == "ended":
            assert tus.delete(path).status_code == 204
        if state == "expired":
            UploadSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        if state == "written":
            writers.append(open_receiver(session_at(path), lambda *_: HttpResponse()))
        return path

    yield stand
    for writer in writers:
        writer.abort()


def headers_of(case: Case) -> dict[str, Any]:
    """Return what a right request of the case's method has, changed as the case says."""
    right: dict[str, Any] = {}
    if case.method == "POST" and case.state == "none":
        right = {"Upload_Length": LENGTH, "Upload_Metadata": metadata(filename="notes.txt")}
        right |= {"Content_Type": CHUNK} if case.body else {}
    elif case.method == "PATCH":
        right = {"Upload_Offset": HALF, "Content_Type": CHUNK}
    changed = {**right, **case.headers}
    return {name: "" if value is None and name == "Content_Type" else value
            for name, value in changed.items()}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tus(tus: Tus, other: Tus, standing: Any, case: Case) -> None:
    path = standing(case.state)
    response = tus.request(case.method, path + case.at, case.body, **headers_of(case))
    assert response.status_code == case.status, response.content
    if case.code:
        assert response.json()["code"] == case.code
    for name, value in case.answer.items():
        assert response.get(name) == value
    if case.status == 423:
        assert int(response["Retry-After"]) <= 5
    if case.status < 400:
        assert response["Tus-Resumable"] == "1.0.0"
    if case.offset is not None:
        assert tus.head(path)["Upload-Offset"] == str(case.offset)
    if case.state == "none" and case.status >= 400 and case.code != "tus_checksum_mismatch":
        assert not UploadSession.objects.filter(offset__gt=0).exists()
    whole = case.state == "whole" or case.offset == LENGTH or case.name == "all bytes at once"
    assert Upload.objects.count() == whole


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "testserver:8443"},
        {"X_Forwarded_Host": "elsewhere.test", "X_Forwarded_Proto": "https"},
        {"Forwarded": "host=elsewhere.test;proto=https"},
        {"X_Forwarded_Prefix": "/below"},
    ],
)
def test_an_address_is_the_same_behind_any_proxy(tus, headers):
    """Without scheme and host nobody can lead a client elsewhere by a forged header."""
    assert tus.post(**headers)["Location"].startswith(COLLECTION)


# --- Idempotency-Key -------------------------------------------------------------------------


def test_a_post_that_is_sent_again_finds_its_session(tus):
    first = tus.post(Idempotency_Key="k")
    tus.patch(first["Location"], 0, TEXT[:HALF])
    again = tus.post(body=TEXT[:3], Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Location"] == first["Location"]
    assert again["Upload-Offset"] == str(HALF)
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert UploadSession.objects.count() == 1
    assert tus.patch(again["Location"], HALF, REST).status_code == 204


def test_a_post_that_brought_the_whole_file_names_its_upload_again(tus):
    locations = {tus.post(body=TEXT, Idempotency_Key="k")["Upload-Location"] for _ in range(2)}
    assert locations == {f"/api/v1/uploads/{Upload.objects.get().pk}/"}


@pytest.mark.parametrize(
    "change", [{"length": LENGTH + 1}, {"Upload_Metadata": metadata(filename="b.txt")}]
)
def test_a_key_belongs_to_one_session(tus, change):
    tus.post(Idempotency_Key="k")
    response = tus.post(Idempotency_Key="k", **change)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert UploadSession.objects.count() == 1


def test_a_key_of_another_user_begins_another_session(tus, other):
    assert tus.post(Idempotency_Key="k")["Location"] != other.post(Idempotency_Key="k")["Location"]


def test_a_refused_post_leaves_its_key_free(tus):
    assert tus.post(length=0, Idempotency_Key="k").status_code == 400
    assert tus.post(Idempotency_Key="k").status_code == 201


def end(tus: Tus, path: str) -> None:
    tus.delete(path)


def expire(tus: Tus, path: str) -> None:
    UploadSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def sign_out(tus: Tus, path: str) -> None:
    session_at(path).owner.token_families.update(ended_at=timezone.now())


@pytest.mark.parametrize("ending", [end, expire, sign_out])
def test_a_session_that_has_ended_is_not_begun_again(tus, ending, client_of, owner):
    ending(tus, tus.post(Idempotency_Key="k")["Location"])
    assert Tus(client_of(owner)).post(Idempotency_Key="k").status_code == 410


def test_an_address_under_a_key_is_as_secret_as_any(tus):
    paths = {tus.post(Idempotency_Key=key)["Location"] for key in ("a", "b")}
    assert len(paths) == 2
    assert {len(path) for path in paths} == {len(tus.create())}
