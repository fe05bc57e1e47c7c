"""Every hostile name of the corpus, through every door: it comes back as it was, or is refused.

What may happen to a name is derived here from the rule in `docs/decisions/0004-names.md`, not from
the code: a path, nothing, and what is too long are refused with their codes; all else is data.
"""

import html
import io
import json
import os
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from dashboard.names import printable
from processing import runner
from processing.management.commands.process import receive
from processing.queue import ledger
from tests.dashboard.conftest import BACKEND
from tests.processing.steps.corpus import corpus
from tests.uploads.test_names_through_doors import BLOB, TEXT, by_put, by_tus, shown
from uploads.deletion import delete_upload
from uploads.drop_reports import open_reports
from uploads.models import Door, Upload
from uploads.names import name_of
from uploads.watch import completeness
from uploads.watch.notices import Polling
from uploads.watch.watcher import Watcher

__all__ = ["corpus"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

LONGEST_FILE_NAME = 255  # bytes, on a disk
LONGEST_FIELD = 1000  # characters: longer heads of parts are refused for their length


@pytest.fixture(scope="session")
def hostile(corpus: Path) -> list[str]:
    """Return the names that were made to harm."""
    text = (corpus / "hostile" / "names" / "hostile_filenames.json").read_text()
    return [str(name) for name in json.loads(text)]


@pytest.fixture(scope="session")
def names(corpus: Path, hostile: list[str]) -> list[str]:
    """Return those, and strings that were collected because programs fell over them."""
    naughty = json.loads((corpus / "names" / "blns.json").read_text())
    return list(dict.fromkeys([*hostile, *naughty]))


def fate(name: str) -> str:
    """Return the code of the refusal of a name; nothing if it is data."""
    if name == "":
        return "name_missing"
    if len(name) > 255:
        return "name_too_long"
    is_path = name in (".", "..") or any(character in name for character in "/\\\0")
    return "name_is_a_path" if is_path else ""


def by_form(api: Any, name: str) -> Any:
    """Send a form as browsers do (WHATWG HTML, section 4.10.22.8)."""
    sent = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n\r\n'
    body = head.encode() + TEXT + b"\r\n--b--\r\n"
    return api.generic("POST", "/api/v1/uploads/", body, "multipart/form-data; boundary=b")


def can_be_sent_by(send: Any, name: str) -> bool:
    """Tell whether the door can be told this name at all."""
    if send is by_put:
        return name not in ("", ".", "..") and "/" not in name
    if send is by_form:
        return "\0" not in name and "%0D" not in name and "%0A" not in name and "%22" not in name
    return True


def assert_comes_back(api: Any, upload: Upload, name: str) -> None:
    assert name_of(upload) == name
    detail = f"/api/v1/uploads/{upload.pk}/"
    assert api.get(detail).json()["name"] == name
    expected = "".join("_" if ord(c) < 32 or ord(c) == 127 else c for c in name)
    assert shown(api.get(detail + "content/")["Content-Disposition"]) == expected


def assert_escaped(browser: Any, path: str, name: str) -> None:
    """A page shows the name, and only as text."""
    page = browser.get(path).content.decode()
    assert html.escape(printable(name)) in page
    if re.search(r"<\w", name):
        assert name not in page


def assert_no_paths(folder: Path) -> None:
    """Nothing in storage has a name of its own."""
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        assert BLOB.fullmatch(relative) or relative == "arriving"


@pytest.fixture
def api(client_of: Any, owner: Any) -> Any:
    return client_of(owner)


@pytest.fixture
def browser(owner: Any) -> Client:
    client = Client()
    client.force_login(owner, backend=BACKEND)
    return client


@pytest.mark.parametrize("send", [by_form, by_put, by_tus])
def test_through_the_doors_of_the_network(
    api: Any, browser: Any, settings: Any, hostile: list[str], send: Any
) -> None:
    tried = 0
    for name in hostile:
        if not can_be_sent_by(send, name):
            continue
        tried += 1
        answer = send(api, name)
        code = fate(name)
        if code:
            codes = {code} if len(name) <= LONGEST_FIELD else {code, "too_many_parts"}
            assert answer.status_code == 400, ascii(name)
            assert answer.json()["code"] in codes, ascii(name)
            assert not Upload.objects.exists()
            continue
        assert answer.status_code == 201, (ascii(name), answer.content)
        upload = Upload.objects.get()
        assert_comes_back(api, upload, name)
        for path in ("/", f"/uploads/{upload.pk}/"):
            assert_escaped(browser, path, name)
        delete_upload(upload)
    assert tried > 0.8 * len(hostile)
    assert_no_paths(settings.UPLOADS["BLOBS_DIR"])


def on_a_disk(names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if name not in ("", ".", "..")
        and not any(character in name for character in "/\0")
        and len(name.encode()) <= LONGEST_FILE_NAME
    ]


def test_through_the_drop_folder(
    api: Any,
    browser: Any,
    owner: Any,
    settings: Any,
    names: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    monkeypatch.setattr("uploads.watch.watcher.close_old_connections", lambda: None)
    root = tmp_path / "drop"
    folder = root / owner.username
    (folder / "unprocessed").mkdir(parents=True)
    put = on_a_disk(names)
    for name in put:
        (folder / "unprocessed" / name).write_bytes(TEXT)
    watcher = Watcher(root, Polling(1))
    watcher.sweep()
    while watcher.take_turns():
        pass
    assert list((folder / "unprocessed").iterdir()) == []
    uploads = {name_of(upload): upload for upload in Upload.objects.all()}
    assert sorted(uploads) == sorted(name for name in put if not fate(name))
    Upload.objects.update(state="succeeded")
    watcher.close_notes()
    receipts = [json.loads(path.read_text()) for path in (folder / "processed").iterdir()]
    assert sorted(receipt["name"] for receipt in receipts) == sorted(uploads)
    told = [json.loads(path.read_text()) for path in (folder / "failed").glob("*.json")]
    expected = sorted((name, fate(name)) for name in put if fate(name))
    assert sorted((receipt["name"], receipt["code"]) for receipt in told) == expected
    assert {path.parent.parent for path in root.rglob("*.json")} == {folder}
    assert_no_paths(settings.UPLOADS["BLOBS_DIR"])
    page = browser.get("/").content.decode()
    assert "<script>alert" not in page
    told_of = [report.name for report in open_reports(owner, most=10)]
    assert told_of
    assert all(html.escape(printable(name)) in page for name in told_of)


def test_through_the_command(owner: Any, names: list[str], tmp_path: Path) -> None:
    for name in on_a_disk(names):
        (tmp_path / name).write_bytes(TEXT)
        if code := fate(name):
            with pytest.raises(CommandError, match=code):
                receive(tmp_path / name, owner.username, None)
        else:
            upload = receive(tmp_path / name, owner.username, None)
            assert name_of(upload) == name
            assert upload.door == Door.COMMAND


@pytest.mark.parametrize(
    "raw", [b"-rf", b"x\r\nwrote y", b"\x1b[31mred\x1b[0m.txt", b"\xff\xfe", "\u202etxt".encode()]
)
def test_what_the_command_prints_is_one_line_of_plain_characters(
    owner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(raw)
    Path(name).write_bytes(TEXT)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    call_command("process", "--user", owner.username, "--", name, stdout=out)
    out.seek(0)
    printed = out.read()
    assert name_of(Upload.objects.get()) == name
    assert all(line.isprintable() for line in printed.splitlines())
    assert not re.search("(?m)^wrote y", printed)
    assert "wrote " in printed


# --- Names inside of files -----------------------------------------------------------------------


def zipped(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for number, name in enumerate(names):
            made.writestr(zipfile.ZipInfo(name or "-"), b"line %d\n" % number)
    return file.getvalue()


def tarred(names: list[str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name or "-")
            content = b"line %d\n" % number
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def mailed(names: list[str]) -> bytes:
    """Return a mail with an attachment of each name, written as RFC 2231 says."""
    head = "From: a@example.org\r\nTo: b@example.org\r\nSubject: files\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    parts = [
        "--b\r\nContent-Type: text/plain\r\n"
        f"Content-Disposition: attachment; filename*=utf-8''{quote(name, safe='')}\r\n\r\n"
        f"line {number}\n\r\n"
        for number, name in enumerate(names)
    ]
    return (head + "".join(parts) + "--b--\r\n").encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file_name", "pack", "least"),
    [("names.zip", zipped, 50), ("names.tar", tarred, 50), ("names.eml", mailed, 40)],
)
def test_names_of_members_are_data_too(
    api: Any,
    browser: Any,
    administrator: Any,
    settings: Any,
    hostile: list[str],
    file_name: str,
    pack: Any,
    least: int,
) -> None:
    """They are listed, and become uploads: on pages and in the API, as text, and never as paths."""
    packed = pack([name for name in hostile if len(name) < 1000])
    answer = api.generic(
        "PUT", f"/api/v1/uploads/{quote(file_name)}", packed, "application/octet-stream"
    )
    assert answer.status_code == 201, answer.content
    root = Upload.objects.get()
    for claims in ledger.bundles("worker", size=8):
        runner.execute(*claims)
    root.refresh_from_db()
    members = list(Upload.objects.filter(parent=root))
    assert len(members) >= least
    trace = api.get(f"/api/v1/runs/{root.run_id}/trace/")
    assert trace["Content-Type"] == "application/json"
    pages = [f"/uploads/{root.pk}/", f"/runs/{root.run_id}/", "/"]
    for path in pages:
        assert_harmless(browser.get(path).content.decode())
    admin = Client()
    admin.force_login(administrator, backend=BACKEND)
    assert_harmless(admin.get(f"/admin/uploads/upload/{root.pk}/change/").content.decode())
    for member in members:
        name = name_of(member)
        assert not fate(name), "a name that is a path became an upload"
        expected = "".join("_" if ord(c) < 32 or ord(c) == 127 else c for c in name)
        content = api.get(f"/api/v1/uploads/{member.pk}/content/")
        assert shown(content["Content-Disposition"]) == expected
        assert re.fullmatch(rb"line \d+\n", b"".join(content.streaming_content))
    assert_no_paths(settings.UPLOADS["BLOBS_DIR"])


def assert_harmless(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    for deceiving in "\u202e\u200b\x1b\x07\x7f":
        assert deceiving not in page, ascii(deceiving)


def test_a_form_names_its_file_by_filename_alone(api: Any) -> None:
    """RFC 7578, section 4.2, forbids `filename*` in a form: it names nothing."""
    for parameter in ("filename*=UTF-8''..%2Fx", "filename*=utf-8''x.txt"):
        head = f'--b\r\nContent-Disposition: form-data; name="file"; {parameter}\r\n\r\n'
        body = head.encode() + TEXT + b"\r\n--b--\r\n"
        answer = api.generic("POST", "/api/v1/uploads/", body, "multipart/form-data; boundary=b")
        assert (answer.status_code, answer.json()["code"]) == (400, "file_missing")
    assert not Upload.objects.exists()
