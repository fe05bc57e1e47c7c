"""Every blob of a running system opens with `docs/decrypt_blob.py` alone."""

import hashlib
import io
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import UUID

import httpx2
from PIL import Image

from tests.stack import ROOT, Stack, ended, upload

SCRIPT = ROOT / "docs" / "decrypt_blob.py"


def files() -> dict[str, bytes]:
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(picture, "JPEG")
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("member.txt", "a member\n" * 500)
    return {
        "one byte.txt": b"1",
        "several segments.txt": b"a line with an ERROR in it\n" * 50_000,
        "table.csv": b"id,name\n" + b"".join(b"%d,x\n" % n for n in range(3000)),
        "picture.jpg": picture.getvalue(),
        "archive.zip": archive.getvalue(),
    }


def test_every_blob_opens_with_the_script_alone(
    stack: Stack, demo: httpx2.Client, tmp_path: Path
) -> None:
    kinds = {True: 0, False: 0}
    for name, content in files().items():
        body = upload(demo, name, content)
        ended(demo, body["run"])
        bundle = tmp_path / f"{body['id']}.json"
        made = subprocess.run(
            [sys.executable, "manage.py", "key_bundle", body["id"], str(bundle)],
            cwd=ROOT, env=stack.env, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        assert bundle.stat().st_mode & 0o777 == 0o600
        for blob_id, is_content, sha256 in blobs_of(stack, body["id"]):
            plain = tmp_path / "plain"
            subprocess.run(
                [sys.executable, "-I", str(SCRIPT), str(path_of(stack, blob_id)), str(bundle),
                 str(plain), "--blob-id", str(UUID(blob_id))],
                cwd=tmp_path, env={}, check=True,
            )  # fmt: skip
            assert hashlib.sha256(plain.read_bytes()).hexdigest() == sha256
            kinds[is_content] += 1
    assert kinds[True] == len(files())
    assert kinds[False] >= 2, "artifacts, too"


def path_of(stack: Stack, blob_id: str) -> Path:
    return stack.data / "blobs" / blob_id[:2] / blob_id


def blobs_of(stack: Stack, upload_id: str) -> list[tuple[str, bool, str]]:
    """Return id, whether it is the file itself, and SHA-256 of every blob of an upload."""
    database = sqlite3.connect(stack.data / "strongroom.sqlite3")
    rows = database.execute(
        "SELECT b.id, b.is_content, coalesce(a.sha256, u.sha256) FROM uploads_blob b "
        "JOIN uploads_upload u ON u.id = b.upload_id "
        "LEFT JOIN processing_artifact a ON a.blob_id = b.id WHERE u.id = ?",
        [upload_id.replace("-", "")],
    ).fetchall()
    database.close()
    return [(blob_id, bool(is_content), sha256) for blob_id, is_content, sha256 in rows]
