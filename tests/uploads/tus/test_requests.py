"""Every verb of the protocol, done right and done wrong."""

import base64
import hashlib
import logging
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.utils import timezone
from structlog.stdlib import ProcessorFormatter

from tests.dashboard.conftest import BACKEND
from tests.uploads.tus.conftest import (
    CHUNK,
    COLLECTION,
    LENGTH,
    TEXT,
    Tus,
    content_of,
    metadata,
    only_upload,
    session_at,
    stored_files,
)
from uploads.key_models import UploadKey
from uploads.models import Quota, Upload, UploadSession
from uploads.names import name_of
from uploads.tus.errors import SessionUnknown
from uploads.tus.receiver import open_receiver

pytestmark = pytest.mark.django_db

EXECUTABLE = b"MZ\x90\x00" + b"\0" * 60 + b"PE\0\0" + b"\0" * 200


def assert_problem(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"
    assert response["Tus-Resumable"] == "1.0.0"


def checksum(body: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, body).digest()).decode()}"


# --- OPTIONS ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [COLLECTION, COLLECTION[:-1], COLLECTION + "anything"])
@pytest.mark.parametrize("version", [None, "1.0.0", "0.2.2"])
def test_options_says_to_anybody_what_is_offered(nobody, settings, path, version):
    response = nobody.request("OPTIONS", path, Tus_Resumable=version)
    assert response.status_code == 204
    assert response["Tus-Version"] == "1.0.0"
    assert response["Tus-Resumable"] == "1.0.0"
    assert response["Tus-Extension"] == (
        "creation,creation-with-upload,termination,checksum,expiration"
    )
    assert response["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert response["Tus-Max-Size"] == str(settings.UPLOADS["MAX_BYTES"])


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0.1", "1", "2.0.0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_of_the_protocol_is_refused(tus, method, version):
    path = COLLECTION if method == "POST" else tus.create()
    response = tus.request(method, path, Upload_Length=5, Tus_Resumable=version)
    assert response.status_code == 412
    assert response["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE"])
def test_other_methods_do_not_exist(tus, method):
    assert tus.request(method, tus.create()).status_code == 405
    assert tus.request(method, COLLECTION).status_code == 405


# --- POST ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [COLLECTION, COLLECTION[:-1]])
def test_post_begins_an_upload(tus, path):
    response = tus.request("POST", path, Upload_Length=5)
    assert response.status_code == 201
    assert response["Location"].startswith(COLLECTION)
    assert response["Upload-Offset"] == "0"
    assert response["Cache-Control"] == "no-store"
    assert "Upload-Location" not in response
    expires = parsedate_to_datetime(response["Upload-Expires"])
    assert timedelta(hours=23) < expires - timezone.now() <= timedelta(hours=24)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload_Length": None}, 400, "tus_length_invalid"),
        ({"Upload_Length": "-1"}, 400, "tus_length_invalid"),
        ({"Upload_Length": "five"}, 400, "tus_length_invalid"),
        ({"Upload_Length": "5, 5"}, 400, "tus_length_invalid"),
        ({"Upload_Length": "0"}, 400, "empty_file"),
        ({"Upload_Length": str(2**64)}, 413, "upload_too_large"),
        ({"Upload_Length": str(2**63)}, 413, "upload_too_large"),
        ({"Upload_Length": str(2**63 - 1)}, 413, "upload_too_large"),
        ({"Upload_Length": str(16 * 1024**3 + 1)}, 413, "upload_too_large"),
        ({"Upload_Defer_Length": "1", "Upload_Length": None}, 400, "tus_extension_unsupported"),
        ({"Upload_Defer_Length": "1"}, 400, "tus_extension_unsupported"),
        ({"Upload_Concat": "partial"}, 400, "tus_extension_unsupported"),
        ({"Upload_Concat": "final;/api/v1/tus/a /api/v1/tus/b"}, 400, "tus_extension_unsupported"),
        ({"Upload_Metadata": "filename !"}, 400, "tus_metadata_invalid"),
        ({"Upload_Metadata": "filename YQ==,filename YQ=="}, 400, "tus_metadata_invalid"),
        ({"Upload_Metadata": metadata(filename="")}, 400, "name_missing"),
        ({"Upload_Metadata": metadata(filename="../../etc/passwd")}, 400, "name_is_a_path"),
        ({"Upload_Metadata": metadata(filename="a\0b")}, 400, "name_is_a_path"),
        ({"Upload_Metadata": metadata(filename="n" * 256)}, 400, "name_too_long"),
        (
            {"Upload_Metadata": metadata(filename="a", pipeline="no-such")},
            400,
            "unknown_pipeline",
        ),
        ({"Upload_Metadata": metadata(pipeline=b"\xed\xa0\x80")}, 400, "tus_metadata_invalid"),
        ({"Upload_Metadata": metadata(filetype=b"\xed\xa0\x80")}, 400, "tus_metadata_invalid"),
        ({"Upload_Checksum": "md5 1B2M2Y8AsgTpgAmy7PhCfg=="}, 400, "tus_checksum_invalid"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_post_refuses(tus, settings, headers, status, code):
    response = tus.request("POST", COLLECTION, **{"Upload_Length": 5, **headers})
    assert_problem(response, status, code)
    assert not UploadSession.objects.exists()
    assert not UploadKey.objects.exists()
    assert not any(Quota.objects.values_list("reserved_bytes", flat=True))
    assert stored_files(settings) == []


def test_post_needs_a_signature(nobody):
    response = nobody.post()
    assert_problem(response, 401, "not_authenticated")


def test_a_session_begun_by_a_page_needs_the_csrf_token(owner, pipelines):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    assert client.generic("POST", COLLECTION, headers=headers).status_code == 403
    client.cookies["strongroom_csrf"] = "a" * 32
    headers["X-CSRFToken"] = "a" * 32
    response = client.generic("POST", COLLECTION, headers=headers)
    assert response.status_code == 201
    path = response["Location"]
    assert session_at(path).door == "web"
    patch = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
    refused = client.patch(path, b"hello", content_type=CHUNK, headers=patch)
    assert refused.status_code == 403
    patch["X-CSRFToken"] = "a" * 32
    assert client.patch(path, b"hello", content_type=CHUNK, headers=patch).status_code == 204


def test_signing_out_ends_the_uploads_of_that_browser(owner, pipelines, nobody, settings):
    from django.test import Client

    here, elsewhere = Client(), Client()
    paths = []
    for client in (here, elsewhere):
        client.force_login(owner)
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(LENGTH)}
        paths.append(client.generic("POST", COLLECTION, headers=headers)["Location"])
    assert nobody.patch(paths[0], 0, TEXT[:1]).status_code == 204
    here.post("/accounts/logout/")
    assert_problem(nobody.patch(paths[0], 1, TEXT[1:]), 404, "not_found")
    assert not stored_files(settings)
    assert nobody.patch(paths[1], 0, TEXT).status_code == 204


def test_post_may_bring_the_first_bytes(tus):
    response = tus.post(body=TEXT[:5])
    assert (response.status_code, response["Upload-Offset"]) == (201, "5")
    assert tus.head(response["Location"])["Upload-Offset"] == "5"


def test_post_may_bring_the_whole_file(tus):
    response = tus.post(body=TEXT)
    assert (response.status_code, response["Upload-Offset"]) == (201, str(len(TEXT)))
    assert response["Upload-Location"] == f"/api/v1/uploads/{only_upload().pk}/"
    assert content_of(only_upload()) == TEXT


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (TEXT + b"!", {}, 413, "tus_length_exceeded"),
        (TEXT, {"Content_Type": "text/plain"}, 415, "unsupported_content_type"),
        (TEXT, {"Upload_Checksum": checksum(b"other")}, 460, "tus_checksum_mismatch"),
    ],
)
def test_post_refuses_first_bytes(tus, body, headers, status, code):
    assert_problem(tus.post(body=body, **headers), status, code)
    assert not Upload.objects.exists()


# --- HEAD ------------------------------------------------------------------------------------


def test_head_tells_the_offset_the_length_and_the_metadata(tus):
    said = metadata(filename="notes.txt", filetype="text/plain", colour="blue")
    path = tus.create(Upload_Metadata=said)
    response = tus.head(path)
    assert response.status_code == 200
    assert response.content == b""
    assert response["Upload-Offset"] == "0"
    assert response["Upload-Length"] == str(len(TEXT))
    assert response["Upload-Metadata"] == said
    assert response["Cache-Control"] == "no-store"
    assert response["Tus-Resumable"] == "1.0.0"
    assert "Upload-Location" not in response


def test_head_without_metadata_has_no_such_header(tus):
    path = tus.create(Upload_Metadata=None)
    assert "Upload-Metadata" not in tus.head(path)


def test_head_after_the_end_names_the_upload(tus):
    path = tus.create()
    tus.patch(path, 0, TEXT)
    response = tus.head(path)
    assert response["Upload-Offset"] == str(len(TEXT))
    assert response["Upload-Location"] == f"/api/v1/uploads/{only_upload().pk}/"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_session_answers_with_and_without_a_slash(tus, slash):
    path = tus.create() + slash
    assert tus.head(path).status_code == 200
    assert tus.patch(path, 0, TEXT).status_code == 204
    assert tus.delete(path).status_code == 204


# --- PATCH -----------------------------------------------------------------------------------


def test_one_patch_hands_in_the_file(tus):
    path = tus.create(Upload_Metadata=metadata(filename="notes.txt", filetype="text/plain"))
    response = tus.patch(path, 0, TEXT)
    assert (response.status_code, response["Upload-Offset"]) == (204, str(len(TEXT)))
    upload = only_upload()
    assert response["Upload-Location"] == f"/api/v1/uploads/{upload.pk}/"
    assert content_of(upload) == TEXT
    assert upload.sha256 == hashlib.sha256(TEXT).hexdigest()
    assert (name_of(upload), upload.declared_type) == ("notes.txt", "text/plain")
    assert (upload.media_type, upload.size, upload.door) == ("text/plain", len(TEXT), "api")
    assert upload.run_id is not None


@pytest.mark.parametrize("piece", [1, 5, len(TEXT) - 1])
def test_many_patches_hand_in_the_file(tus, piece):
    path = tus.create()
    for start in range(0, len(TEXT), piece):
        response = tus.patch(path, start, TEXT[start : start + piece])
        assert response.status_code == 204
        assert int(response["Upload-Offset"]) == min(start + piece, len(TEXT))
    assert content_of(only_upload()) == TEXT
    assert only_upload().sha256 == hashlib.sha256(TEXT).hexdigest()


def test_a_patch_without_bytes_changes_nothing(tus):
    path = tus.create()
    assert tus.patch(path, 0, b"")["Upload-Offset"] == "0"
    tus.patch(path, 0, TEXT[:4])
    assert tus.patch(path, 4, b"")["Upload-Offset"] == "4"
    assert tus.patch(path, 4, TEXT[4:]).status_code == 204
    assert content_of(only_upload()) == TEXT


@pytest.mark.parametrize(
    ("offset", "headers", "body", "status", "code"),
    [
        (None, {}, TEXT, 400, "tus_offset_invalid"),
        ("-1", {}, TEXT, 400, "tus_offset_invalid"),
        ("one", {}, TEXT, 400, "tus_offset_invalid"),
        ("9" * 30, {}, TEXT, 400, "tus_offset_invalid"),
        (1, {}, TEXT, 409, "tus_offset_mismatch"),
        (4, {}, TEXT, 409, "tus_offset_mismatch"),
        (6, {}, TEXT, 409, "tus_offset_mismatch"),
        (len(TEXT), {}, b"", 409, "tus_offset_mismatch"),
        (len(TEXT) + 1, {}, b"", 409, "tus_offset_mismatch"),
        (2**62, {}, b"", 409, "tus_offset_mismatch"),
        (5, {}, TEXT, 413, "tus_length_exceeded"),
        (5, {"Content_Type": ""}, TEXT[5:], 415, "unsupported_content_type"),
        (
            5,
            {"Content_Type": "application/octet-stream"},
            TEXT[5:],
            415,
            "unsupported_content_type",
        ),
        (5, {"Content_Type": "multipart/form-data"}, TEXT[5:], 415, "unsupported_content_type"),
        (5, {"Upload_Checksum": "sha1 YQ=="}, TEXT[5:], 400, "tus_checksum_invalid"),
        (5, {"Upload_Checksum": "crc99 YQ=="}, TEXT[5:], 400, "tus_checksum_invalid"),
        (5, {"Upload_Checksum": checksum(b"other")}, TEXT[5:], 460, "tus_checksum_mismatch"),
        (5, {"Upload_Checksum": checksum(b"x", "sha256")}, b"y", 460, "tus_checksum_mismatch"),
    ],
    ids=lambda value: str(value)[:48],
)
def test_patch_refuses_and_keeps_what_was_there(tus, offset, headers, body, status, code):
    path = tus.create()
    tus.patch(path, 0, TEXT[:5])
    assert_problem(tus.patch(path, offset, body, **headers), status, code)
    assert tus.head(path)["Upload-Offset"] == "5"
    assert tus.patch(path, 5, TEXT[5:]).status_code == 204
    assert content_of(only_upload()) == TEXT
    assert only_upload().sha256 == hashlib.sha256(TEXT).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_right_checksum_is_accepted(tus, algorithm):
    path = tus.create()
    for start in (0, 7):
        body = TEXT[:7] if start == 0 else TEXT[7:]
        response = tus.patch(path, start, body, Upload_Checksum=checksum(body, algorithm))
        assert response.status_code == 204
    assert content_of(only_upload()) == TEXT


def test_a_content_type_may_have_parameters_and_capitals(tus):
    path = tus.create()
    kind = "Application/Offset+Octet-Stream; charset=binary"
    assert tus.patch(path, 0, TEXT, Content_Type=kind).status_code == 204


@pytest.mark.parametrize(
    ("offset", "body", "status"),
    [
        (len(TEXT), b"", 204),
        (len(TEXT) - 5, TEXT[-5:], 204),
        (0, TEXT, 204),
        (0, TEXT[:5], 409),
        (5, b"", 409),
        (len(TEXT), b"more", 413),
        (len(TEXT) + 1, b"", 409),
    ],
)
def test_a_patch_after_the_end_makes_no_second_upload(tus, offset, body, status):
    path = tus.create()
    tus.patch(path, 0, TEXT)
    response = tus.patch(path, offset, body)
    assert response.status_code == status
    if status == 204:
        assert response["Upload-Offset"] == str(len(TEXT))
        assert response["Upload-Location"] == f"/api/v1/uploads/{only_upload().pk}/"
    assert content_of(only_upload()) == TEXT


@pytest.mark.parametrize("chunked_first", [3, 70_000])
def test_a_denied_type_ends_the_session(tus, settings, chunked_first):
    body = EXECUTABLE + b"\0" * 200_000
    path = tus.create(5 * 1024**3)
    first = tus.patch(path, 0, body[:chunked_first])
    if first.status_code == 204:
        first = tus.patch(path, chunked_first, body[chunked_first:])
    assert_problem(first, 415, "media_type_denied")
    assert tus.head(path).status_code == 404
    assert not UploadSession.objects.exists()
    assert not UploadKey.objects.exists()
    assert Quota.objects.get().reserved_bytes == 0
    assert stored_files(settings) == []


def test_a_small_file_of_a_denied_type_is_refused_at_its_end(tus, settings):
    path = tus.create(len(EXECUTABLE))
    assert_problem(tus.patch(path, 0, EXECUTABLE), 415, "media_type_denied")
    assert not UploadSession.objects.exists()
    assert stored_files(settings) == []


# --- DELETE ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [0, 5])
def test_delete_gives_an_upload_up(tus, settings, arrived):
    path = tus.create()
    tus.patch(path, 0, TEXT[:arrived])
    assert tus.delete(path).status_code == 204
    for response in (tus.head(path), tus.patch(path, arrived, TEXT), tus.delete(path)):
        assert response.status_code == 404
    assert not UploadSession.objects.exists()
    assert not UploadKey.objects.exists()
    assert Quota.objects.get().reserved_files == 0
    assert stored_files(settings) == []


def test_deleting_a_finished_session_keeps_the_upload(tus):
    path = tus.create()
    tus.patch(path, 0, TEXT)
    assert tus.delete(path).status_code == 204
    assert tus.head(path).status_code == 404
    assert content_of(only_upload()) == TEXT


# --- whose it is -----------------------------------------------------------------------------

REQUESTS = [
    ("HEAD", {}, b""),
    ("PATCH", {"Content_Type": CHUNK, "Upload_Offset": 0}, TEXT),
    ("DELETE", {}, b""),
]


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
@pytest.mark.parametrize("token", ["x", "a" * 32, "..", "%00", "é", "0" * 5000])
def test_an_unknown_session_does_not_exist(tus, method, headers, body, token):
    assert tus.request(method, COLLECTION + token, body, **headers).status_code == 404


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
def test_a_stranger_gets_the_answer_of_a_session_that_does_not_exist(
    tus, other, method, headers, body
):
    path = tus.create()
    foreign = other.request(method, path, body, **headers)
    unknown = other.request(method, COLLECTION + "x" * 32, body, **headers)
    assert foreign.status_code == unknown.status_code == 404
    if method != "HEAD":
        assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert session_at(path).offset == 0
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
def test_the_address_alone_authorises(tus, nobody, method, headers, body):
    assert nobody.request(method, tus.create(), body, **headers).status_code in {200, 204}


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
def test_an_expired_token_does_not_end_an_upload(tus, owner, client_of, method, headers, body):
    from config.accounts.tokens import AccessToken, issue

    token = AccessToken(issue(owner).access)  # type: ignore[arg-type]
    token.set_exp(from_time=timezone.now() - timedelta(hours=2), lifetime=timedelta(minutes=1))
    api = client_of(None)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    response = Tus(api).request(method, tus.create(), body, **headers)
    assert response.status_code in {200, 204}


def disable(owner: Any) -> None:
    owner.is_active = False
    owner.save()


def change_session_version(owner: Any) -> None:
    owner.end_tokens()


def sign_out(owner: Any) -> None:
    owner.token_families.update(ended_at=timezone.now())


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
@pytest.mark.parametrize("loss", [disable, change_session_version, sign_out])
def test_who_may_not_upload_any_more_cannot_go_on(tus, nobody, owner, method, headers, body, loss):
    path = tus.create()
    loss(owner)
    assert nobody.request(method, path, body, **headers).status_code == 404
    assert not Upload.objects.exists()


@pytest.mark.parametrize("loss", [disable, change_session_version, sign_out])
@pytest.mark.parametrize("body", [TEXT, TEXT[:5]])
def test_who_may_not_upload_any_more_does_not_finish_what_is_under_way(
    tus, owner, settings, loss, body
):
    """The body was let in while its sender was; a body may take hours."""
    receiver = open_receiver(session_at(tus.create()), lambda *_: HttpResponse())
    receiver.write(body)
    loss(owner)
    with pytest.raises(SessionUnknown):
        receiver.finish()
    receiver.abort()
    assert not Upload.objects.exists()
    assert UploadSession.objects.get().offset == 0


def test_a_long_body_is_ended_in_its_middle_once_its_owner_is_switched_off(tus, owner, monkeypatch):
    monkeypatch.setattr("uploads.tus.claims.RENEW_S", 0)
    receiver = open_receiver(session_at(tus.create()), lambda *_: HttpResponse())
    receiver.write(TEXT[:5])
    disable(owner)
    with pytest.raises(SessionUnknown):
        receiver.write(TEXT[5:7])
    receiver.abort()


def in_a_browser(owner: Any) -> tuple[Any, str]:
    """Return a browser that has begun an upload, and its address."""
    from django.test import Client

    browser = Client()
    browser.force_login(owner, backend=BACKEND)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(LENGTH)}
    return browser, browser.generic("POST", COLLECTION, headers=headers)["Location"]


def test_a_browser_session_that_only_expires_does_not_end_an_upload(owner, pipelines, nobody):
    browser, path = in_a_browser(owner)
    Session.objects.update(expire_date=timezone.now() - timedelta(hours=1))
    assert browser.get("/").status_code == 302, "it is signed out"
    assert nobody.patch(path, 0, TEXT).status_code == 204


def change_password(browser: Any, owner: Any) -> None:
    passwords = {"oldpassword": "a-long-pass-phrase"}
    passwords |= dict.fromkeys(("password1", "password2"), "another-long-pass-phrase")
    assert browser.post("/accounts/password/change/", passwords).status_code == 302
    owner.refresh_from_db()
    assert owner.check_password("another-long-pass-phrase")


def in_the_admin(browser: Any, owner: Any) -> None:
    from django.test import Client

    admin = Client()
    admin.force_login(type(owner).objects.create_superuser("root"), backend=BACKEND)
    action = {"action": "end_tokens", "_selected_action": [str(owner.pk)]}
    assert admin.post("/admin/accounts/user/", action).status_code == 302


@pytest.mark.parametrize("loss", [change_password, in_the_admin, lambda _, owner: disable(owner)])
def test_a_new_password_a_sign_out_everywhere_and_a_disabled_account_end_all_uploads(
    owner, pipelines, tus, nobody, loss
):
    browser, by_page = in_a_browser(owner)
    by_program = tus.create()
    loss(browser, owner)
    for path in (by_page, by_program):
        assert nobody.patch(path, 0, TEXT).status_code == 404
    assert not Upload.objects.exists()


def test_the_database_does_not_hold_the_address(tus):
    token = tus.create().rpartition("/")[2]
    row = UploadSession.objects.values().get()
    assert token not in repr(row)
    assert len(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))) >= 16


def test_no_log_line_holds_the_address(tus, caplog):
    path = tus.create()
    assert tus.patch(path, 5, TEXT).status_code == 409
    (formatter,) = (
        handler.formatter
        for handler in logging.root.handlers
        if isinstance(handler.formatter, ProcessorFormatter)
    )
    lines = [formatter.format(record) for record in caplog.records]
    assert any("Conflict: /api/v1/tus/..." in line for line in lines)
    assert path.rpartition("/")[2] not in "".join(lines)


# --- the method that a proxy lets through ----------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers", "body", "status"),
    [
        ("PATCH", {"Content_Type": CHUNK, "Upload_Offset": 0}, TEXT, 204),
        ("patch", {"Content_Type": CHUNK, "Upload_Offset": 0}, TEXT, 204),
        ("HEAD", {}, b"", 200),
        ("DELETE", {}, b"", 204),
        ("OPTIONS", {}, b"", 204),
        ("CONNECT", {}, b"", 405),
        ("dispatch", {}, b"", 405),
    ],
)
def test_a_post_may_stand_for_another_method(tus, method, headers, body, status):
    override = {"X_HTTP_Method_Override": method, **headers}
    assert tus.request("POST", tus.create(), body, **override).status_code == status


# --- time ------------------------------------------------------------------------------------


def expire(path: str) -> None:
    UploadSession.objects.filter(pk=session_at(path).pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )


@pytest.mark.parametrize(("method", "headers", "body"), REQUESTS)
def test_an_expired_session_is_gone(tus, method, headers, body):
    path = tus.create()
    expire(path)
    assert tus.request(method, path, body, **headers).status_code == 410


def test_progress_puts_the_end_off(tus):
    path = tus.create()
    UploadSession.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    tus.patch(path, 0, TEXT[:5])
    expires: datetime = UploadSession.objects.get().expires_at
    assert expires > timezone.now() + timedelta(hours=23)


def test_a_session_whose_upload_was_deleted_is_gone(tus, django_capture_on_commit_callbacks):
    path = tus.create()
    location = tus.patch(path, 0, TEXT)["Upload-Location"]
    with django_capture_on_commit_callbacks(execute=True):
        assert tus.api.delete(location).status_code == 204
    assert tus.head(path).status_code == 410
