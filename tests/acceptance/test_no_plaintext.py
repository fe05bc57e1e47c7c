"""Nothing of what is handed in lies on a disk in the clear: no content, no name.

Random words go through every door and every step, also where they fail or are cut in the middle.
Then the data folder with the database and its log, the temporary folder, what was printed, and the
files behind the memory of every process are searched. A planted word shows that the search works.
"""

import base64
import io
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from tests.plaintext import files_behind, files_below, find, new_marker
from tests.stack import ROOT, Stack, ended, until, upload

TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "tmp").mkdir()
    stack = Stack(tmp_path / "data", TMPDIR=str(tmp_path / "tmp"))
    try:
        stack.start()
        yield stack
    finally:
        stack.end()


class Words:
    """The words that are planted, and files that are full of them."""

    def __init__(self) -> None:
        self.family = new_marker()
        self.contents: list[str] = []
        self.names: list[str] = []

    def content(self) -> str:
        self.contents.append(new_marker(self.family))
        return self.contents[-1]

    def name(self, suffix: str) -> str:
        self.names.append(new_marker(self.family))
        return self.names[-1] + suffix

    def text(self) -> bytes:
        word = self.content()
        return f"first {word}\nERROR {word} in the middle\n{word} WARNING\n".encode() * 400

    def table(self) -> bytes:
        word = self.content()
        rows = "".join(f"{n},{word},{word}{n % 3}\n" for n in range(2000))
        return f"id,{word},c\n{rows}".encode()

    def picture(self) -> bytes:
        target, exif = io.BytesIO(), Image.Exif()
        exif[0x010E] = self.content()
        Image.new("RGB", (300, 200), "teal").save(target, "JPEG", exif=exif)
        return target.getvalue()

    def archive(self) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(self.name(".txt"), self.text())
            archive.writestr(f"folder/{self.name('.csv')}", self.table())
        return target.getvalue()

    def document(self) -> bytes:
        word = self.content()
        page = f"BT /F1 12 Tf 20 100 Td ({word} {word}) Tj ET".encode()
        objects = [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources "
            b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        ]
        body = b"%PDF-1.4\n" + b"".join(
            b"%d 0 obj\n%s\nendobj\n" % (number, text) for number, text in enumerate(objects, 1)
        )
        return body + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"

    def broken_picture(self) -> bytes:
        return self.picture()[:400] + self.text()

    def program(self) -> bytes:
        return b"MZ\x90\x00" + bytes(60) + self.text()


KINDS = {
    "text": ".txt", "table": ".csv", "picture": ".jpg", "archive": ".zip", "document": ".pdf",
    "broken_picture": ".jpg",
}  # fmt: skip


def hand_in_by_api(client: httpx2.Client, words: Words) -> None:
    """Every kind of file by multipart and by PUT, and read all that became of them."""
    runs = []
    for kind, suffix in KINDS.items():
        runs.append(upload(client, words.name(suffix), getattr(words, kind)())["run"])
        put = client.put(f"/api/v1/uploads/{words.name(suffix)}", content=getattr(words, kind)())
        assert put.status_code == 201, put.text
        runs.append(put.json()["run"])
    for run in runs:
        ended(client, run)
        for record in client.get(f"/api/v1/runs/{run}/trace/").json():
            for artifact in record["artifacts"]:
                client.get(artifact["content_url"])


def refused(client: httpx2.Client, words: Words) -> None:
    """A file that is refused, and one that is cut in the middle."""
    content = {"file": (words.name(".exe"), words.program())}
    assert client.post("/api/v1/uploads/", files=content).status_code == 415
    name, text = words.name(".txt"), words.text()

    def cut() -> Iterator[bytes]:
        yield text
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        client.put(f"/api/v1/uploads/{name}", content=cut())


def hand_in_by_tus(client: httpx2.Client, words: Words) -> None:
    """One file in two pieces, and one that stays half."""
    for whole in (True, False):
        text, name = words.text(), base64.b64encode(words.name(".txt").encode()).decode()
        made = client.post(
            "/api/v1/tus/",
            headers={**TUS, "Upload-Length": str(len(text)), "Upload-Metadata": f"filename {name}"},
        )
        assert made.status_code == 201, made.text
        half = len(text) // 2
        for start, piece in ((0, text[:half]), (half, text[half:]))[: 2 if whole else 1]:
            sent = client.patch(
                made.headers["Location"],
                content=piece,
                headers={
                    **TUS,
                    "Upload-Offset": str(start),
                    "Content-Type": "application/offset+octet-stream",
                },
            )
            assert sent.status_code == 204, sent.text


def hand_in_by_page(stack: Stack, words: Words) -> None:
    """As the web page does: with a session."""
    with httpx2.Client(base_url=stack.url, timeout=60, follow_redirects=True) as browser:
        browser.get("/accounts/login/")
        login = stack.login()
        token = {"csrfmiddlewaretoken": browser.cookies["strongroom_csrf"]}
        browser.post(
            "/accounts/login/",
            data={"login": login["username"], "password": login["password"], **token},
            headers={"Referer": stack.url},
        )
        answer = browser.post(
            "/api/v1/uploads/",
            files={"file": (words.name(".txt"), words.text())},
            headers={"X-CSRFToken": browser.cookies["strongroom_csrf"], "Referer": stack.url},
        )
        assert answer.status_code == 201, answer.text
        for page in ("/", f"/uploads/{answer.json()['id']}/", "/api/v1/uploads/"):
            assert browser.get(page).status_code == 200


def hand_in_by_folder(stack: Stack, words: Words) -> Path:
    """A file in the drop folder: its name stays there, in a receipt for whoever put it there."""
    folder = stack.drop_folder()
    until((folder / "unprocessed").is_dir, within_s=60, what="the drop folder")
    name = new_marker() + ".txt"
    (folder / "coming.tmp").write_bytes(words.text())
    (folder / "coming.tmp").rename(folder / "unprocessed" / name)
    until((folder / "processed" / f"{name}.json").exists, within_s=60, what="a receipt")
    return folder


def hand_in_by_command(stack: Stack, words: Words, tmp_path: Path) -> None:
    path = tmp_path / words.name(".txt")
    path.write_bytes(words.text())
    done = subprocess.run(
        [sys.executable, "manage.py", "process", str(path), "--out", str(tmp_path / "out")],
        cwd=ROOT, env=stack.env, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert find(words.contents, files_below(tmp_path / "out")), (
        "artifacts are where they were asked"
    )


@pytest.mark.faults
def test_no_content_and_no_name_lies_on_a_disk(stack: Stack, tmp_path: Path) -> None:
    words = Words()
    with stack.client() as client:
        hand_in_by_api(client, words)
        refused(client, words)
        hand_in_by_tus(client, words)
        waiting = client.get("/api/v1/runs/", params={"state": "queued"})
        assert waiting.status_code == 200
    hand_in_by_page(stack, words)
    hand_in_by_folder(stack, words)
    hand_in_by_command(stack, words, tmp_path)
    assert len(words.contents) >= 20
    assert len(words.names) >= 18

    control = new_marker(words.family)
    database = sqlite3.connect(stack.data / "strongroom.sqlite3")
    database.execute("CREATE TABLE planted (word TEXT)")
    database.execute("INSERT INTO planted VALUES (?)", [control])
    database.commit()
    (tmp_path / "tmp" / "planted").write_text(base64.b64encode(b"x" + control.encode()).decode())
    assert stack.process is not None
    parts = [stack.process.pid, *(process.pid for process in stack.processes())]
    assert len(parts) > len({"web", "worker", "watcher", "nightly"})
    everything = [
        *files_below(stack.data, tmp_path / "tmp"),
        stack.log,
        *files_behind(stack.processes()),
    ]
    found = find([*words.contents, *words.names, control], everything)
    database.close()
    planted = {Path(path).name for marker, _, path in found if marker == control}
    assert "planted" in planted
    assert planted & {"strongroom.sqlite3", "strongroom.sqlite3-wal"}
    assert {hit for hit in found if hit[0] != control} == set()
