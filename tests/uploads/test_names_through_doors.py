"""Hostile names through every door: each comes back as it was, or is refused with its code."""

import base64
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from uploads.encryption import SEGMENT_BYTES
from uploads.errors import Refusal
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload
from uploads.names import name_of
from uploads.watch import completeness
from uploads.watch.notices import Polling
from uploads.watch.watcher import Watcher

pytestmark = pytest.mark.django_db

TEXT = b"a line\n"
BLOB = re.compile(r"[0-9a-f]{2}(/[0-9a-f]{32})?")
PATHS = "name_is_a_path"

# Name -> the code of its refusal; nothing where it comes back as it was.
FATES = {
    "../../etc/passwd": PATHS,
    "..\\..\\windows\\win.ini": PATHS,
    "/etc/cron.d/x": PATHS,
    "C:\\x.txt": PATHS,
    "a/b/c.txt": PATHS,
    "....//....//x.txt": PATHS,
    "x.txt\x00.png": PATHS,
    "..": PATHS,
    ".": PATHS,
    "": "name_missing",
    "n" * 256: "name_too_long",
    "%2e%2e%2fx.txt": "",
    "%252e%252e%252fx.txt": "",
    "..%c0%afx.txt": "",
    "x.php.jpg": "",
    ".htaccess": "",
    " ": "",
    " lead.txt": "",
    "trail.txt ": "",
    "trail.txt.": "",
    "-rf": "",
    "--help": "",
    "$(id).txt": "",
    "`id`.txt": "",
    "x;id.txt": "",
    "x|id.txt": "",
    "x&id.txt": "",
    "x\r\nSet-Cookie: a=b.txt": "",
    "x\nline2.txt": "",
    "x\u2028y.txt": "",
    'x"; filename="y.html': "",
    "x'; filename*=UTF-8''y.html": "",
    "<script>alert(1)<script>.txt": "",
    '"><img src=x onerror=alert(1)>.png': "",
    "{{7*7}}.txt": "",
    "{% debug %}.txt": "",
    "%s%s%n.txt": "",
    "{0.__class__}.txt": "",
    "=1+1.csv": "",
    "@SUM(1).csv": "",
    "\t=1+1.csv": "",
    "\u202egnp.exe": "",
    "\u200bzero.txt": "",
    "\u00e9.txt": "",
    "e\u0301.txt": "",  # the same to the eye, and another name
    "\ufb01.txt": "",
    "\uff0e\uff0e\uff0fx.txt": "",  # looks like a path, and is none
    "CON": "",
    "nul.txt": "",
    "x.txt:ads": "",
    "x::$DATA": "",
    "\U0001f4a9.txt": "",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.pdf": "",
    "\u0130.txt": "",
    "n" * 255: "",
    "\x1b[31mred\x1b[0m.txt": "",
    "x\x07\x08.txt": "",
    "x\x7f.txt": "",
    "'; DROP TABLE uploads;--.txt": "",
    "noext": "",
    "~$doc.docx": "",
    "x.part": "",
}
PLAIN = {name for name in FATES if not re.search('["\\\\\r\n\x00]', name)}


def by_put(api: Any, name: str) -> Any:
    return api.generic("PUT", f"/api/v1/uploads/{quote(name, safe='')}", TEXT, "text/plain")


def by_post(api: Any, name: str) -> Any:
    """Send a form as browsers do."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + TEXT + b"\r\n--b--\r\n"
    return api.generic("POST", "/api/v1/uploads/", body, "multipart/form-data; boundary=b")


def by_tus(api: Any, name: str) -> Any:
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(TEXT)),
        "Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}",
    }
    kind = "application/offset+octet-stream"
    return api.generic("POST", "/api/v1/tus/", TEXT, content_type=kind, headers=headers)


@pytest.fixture
def api(client_of: Any, owner: Any, pipelines: None) -> Any:
    return client_of(owner)


def shown(header: str) -> str:
    """Return the name that a client reads from Content-Disposition (RFC 6266, RFC 8187)."""
    assert "\r" not in header
    assert "\n" not in header
    match = re.fullmatch(r"attachment; filename\*=utf-8''(\S*)", header)
    if match:
        return unquote(match[1], errors="strict")
    match = re.fullmatch(r'attachment; filename="((?:[^"\\]|\\.)*)"', header)
    assert match, header
    return re.sub(r"\\(.)", r"\1", match[1])


def assert_fate(api: Any, response: Any, name: str, settings: Any) -> None:
    code = FATES[name]
    if code:
        assert (response.status_code, response.json()["code"]) == (400, code)
        assert not Upload.objects.exists()
        return
    assert response.status_code == 201, response.content
    upload = Upload.objects.get()
    assert name_of(upload) == name
    detail = f"/api/v1/uploads/{upload.pk}/"
    assert api.get(detail).json()["name"] == name
    assert api.get("/api/v1/uploads/").json()["results"][0]["name"] == name
    expected = "".join("_" if ord(c) < 32 or ord(c) == 127 else c for c in name)
    assert shown(api.get(detail + "content/")["Content-Disposition"]) == expected
    folder: Path = settings.UPLOADS["BLOBS_DIR"]
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        assert BLOB.fullmatch(relative) or relative == "arriving"


@pytest.mark.parametrize("name", FATES, ids=ascii)
def test_through_tus(api, settings, name):
    assert_fate(api, by_tus(api, name), name, settings)


@pytest.mark.parametrize("name", FATES, ids=ascii)
def test_through_the_intake_itself(owner, pipelines, name):
    offer = Offer(owner=owner, name=name, declared_type="", door=Door.COMMAND)
    if FATES[name]:
        with pytest.raises(Refusal) as refusal:
            receive_upload(offer, io.BytesIO(TEXT))
        assert refusal.value.code == FATES[name]
    else:
        assert name_of(receive_upload(offer, io.BytesIO(TEXT))) == name


@pytest.mark.parametrize("name", sorted(PLAIN), ids=ascii)
def test_through_a_form(api, settings, name):
    response = by_post(api, name)
    assert_fate(api, response, name, settings)


@pytest.mark.parametrize("name", [n for n in FATES if n and "/" not in n], ids=ascii)
def test_through_put(api, settings, name):
    assert_fate(api, by_put(api, name), name, settings)


def test_an_address_with_a_separator_in_it_does_not_exist(api):
    assert by_put(api, "a/b.txt").status_code == 404
    assert by_put(api, "").status_code == 405
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in FATES
        if n not in {"", ".", ".."} and "/" not in n and "\0" not in n and len(n) < 250
    ],
    ids=ascii,
)
def test_through_the_drop_folder(api, owner, settings, tmp_path, monkeypatch, name):
    monkeypatch.setattr(completeness, "QUIET_S", 0)
    monkeypatch.setattr("uploads.watch.watcher.close_old_connections", lambda: None)
    folder = tmp_path / "drop" / owner.username / "unprocessed"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(TEXT)
    watcher = Watcher(tmp_path / "drop", Polling(1))
    watcher.sweep()
    while watcher.take_turns():
        pass
    assert list(folder.iterdir()) == []
    if FATES[name]:
        assert not Upload.objects.exists()
        assert (folder.parent / "failed" / name).read_bytes() == TEXT
    else:
        assert name_of(Upload.objects.get()) == name


def test_a_long_file_has_no_name_on_the_disk_either(api, settings):
    name = "layoffs in march.txt"
    body = b"x" * (3 * SEGMENT_BYTES)
    api.generic("PUT", f"/api/v1/uploads/{quote(name)}", body, "text/plain")
    assert all("layoffs" not in path.name for path in settings.UPLOADS["BLOBS_DIR"].rglob("*"))
