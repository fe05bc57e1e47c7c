"""A source of backups, in this process, and places to bring them back to."""

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.uploads.backup.installation import Installation
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload


def content_of(name: str) -> bytes:
    """Return what a file of this name holds: some are of several segments.

    Hexadecimal digits: random bytes now and then begin like a program, which is refused.
    """
    seed = hashlib.sha256(name.encode()).hexdigest().encode()
    return (seed * 10_000)[: 1 + int(seed[:6], 16) % 600_000]


def sha256_of(name: str) -> str:
    return hashlib.sha256(content_of(name)).hexdigest()


@pytest.fixture
def receive(owner: Any, pipelines: None) -> Callable[[str], Upload]:
    def receive(name: str) -> Upload:
        offer = Offer(owner=owner, name=name, declared_type="", door=Door.API)
        return receive_upload(offer, io.BytesIO(content_of(name)))

    return receive


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "keys"


@pytest.fixture
def empty(tmp_path: Path, transactional_db: None) -> Iterator[Installation]:
    """A machine that holds nothing, with a database of the same kind."""
    if connection.vendor == "sqlite":
        yield Installation(tmp_path / "empty")
        return
    known, name = connection.settings_dict, f"empty_{secrets.token_hex(6)}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    server = f"{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}"
    yield Installation(tmp_path / "empty", STRONGROOM_DATABASE_URL=f"postgres://{server}/{name}")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
