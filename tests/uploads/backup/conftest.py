"""A source of backups, in this process, and places to bring them back to."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.uploads.backup.installation import Installation
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload


def content_of(name: str) -> bytes:
    """Return what a file of this name holds: some are of several segments, one of one byte."""
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * 20_000)[: 1 + int.from_bytes(seed[:3], "big") % 600_000]


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
def empty(tmp_path: Path) -> Installation:
    """A machine that holds nothing."""
    return Installation(tmp_path / "empty")
