"""The key store and the secrets of an installation, in one file of their own.

JSON lines: a head with the secrets, the rows of the key tables as Django serialises them, and a
last line with the SHA-256 of all before it. Whoever has it and a backup has everything.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import serializers
from django.utils import timezone

from config.durable import sync_folder, write_private
from config.secrets import FILES
from uploads.backup.errors import BackupFailed
from uploads.key_store import MODELS

FORMAT = "strongroom keys 1"
BATCH = 1000


def write_keys(path: Path) -> int:
    """Write all keys to the file `path`, in place of what is there; return how many rows."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows, digest = 0, hashlib.sha256()
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        head = {"format": FORMAT, "made_at": timezone.now().isoformat(), "files": _secrets()}
        for line in (json.dumps(head), *_rows()):
            file.write(line.encode() + b"\n")
            digest.update(line.encode() + b"\n")
            rows += 1
        file.write(json.dumps({"sha256": digest.hexdigest()}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_folder(path.parent)
    return rows - 1


def check_keys(path: Path) -> None:
    """Refuse a file that is not one of ours, or not whole.

    Raises:
        BackupFailed
    """
    digest, last = hashlib.sha256(), b""
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
            file.seek(0)
            for line in file:
                digest.update(last)
                last = line
        whole = head["format"] == FORMAT and json.loads(last) == {"sha256": digest.hexdigest()}
    except OSError as error:
        raise BackupFailed(f"The keys at {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise BackupFailed(f"{path} is not a whole file of keys.")


def bring_back_secrets(path: Path) -> None:
    """Put the secrets in the checked file `path` into their places.

    What is there and differs is kept under another name: no key is ever destroyed here.
    """
    folder = Path(settings.UPLOADS["MASTER_KEYS_FILE"]).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("rb") as file:
        secrets: dict[str, str] = json.loads(file.readline())["files"]
    for name, text in secrets.items():
        if name not in _places():
            raise BackupFailed(f"The file of keys holds {name!r}, which is no secret of ours.")
        target = _places()[name]
        if target.exists() and target.read_text() != text:
            target.rename(target.with_name(target.name + ".before-restore"))
        write_private(target, text)


def bring_back_rows(path: Path) -> int:
    """Fill the empty key tables from the checked file `path`; return how many rows."""
    rows = 0
    with path.open("rb") as file:
        file.readline()
        lines = (line for line in file if not line.startswith(b'{"sha256"'))
        while batch := b"".join(islice(lines, BATCH)):
            objects = [found.object for found in serializers.deserialize("jsonl", batch)]
            for model in MODELS:
                manager: Any = model._default_manager
                manager.bulk_create(row for row in objects if isinstance(row, model))
            rows += len(objects)
    return rows


def _rows() -> Iterator[str]:
    for model in MODELS:
        ordered = model._default_manager.order_by("pk")
        batch = list(ordered[:BATCH])
        while batch:
            yield from serializers.serialize("jsonl", batch).splitlines()
            batch = list(ordered.filter(pk__gt=batch[-1].pk)[:BATCH])


def _secrets() -> dict[str, str]:
    return {name: path.read_text() for name, path in _places().items() if path.is_file()}


def _places() -> dict[str, Path]:
    """Return where each secret lies; a deployment may have some of them elsewhere."""
    master_keys = Path(settings.UPLOADS["MASTER_KEYS_FILE"])
    return {name: master_keys.with_name(name) for name in FILES} | {FILES[-1]: master_keys}
