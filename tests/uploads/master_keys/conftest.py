"""A key ring of each test's own."""

from pathlib import Path
from typing import Any

import pytest

from config.durable import write_private
from uploads.master_keys import RingFile

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def ring_path(settings: Any, tmp_path: Path) -> Path:
    """Return where a key ring with the one key `k1` lies."""
    path = tmp_path / "ring" / "master-keys.json"
    path.parent.mkdir(mode=0o700)
    write_private(path, RingFile("k1", {}).with_new_key("k1").text())
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_FILE": path}
    return path


@pytest.fixture
def passphrase(settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set a passphrase, and let trying one be cheap."""
    monkeypatch.setattr("uploads.master_keys.passphrase.COST", 2)
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_PASSPHRASE": PASSPHRASE}
    return PASSPHRASE
