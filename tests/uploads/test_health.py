"""What the room says of itself to `readyz`."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from config.health import Health
from uploads import health
from uploads.errors import StorageFull
from uploads.key_models import OwnerKey
from uploads.keys import key_ring, owner_key
from uploads.storage import store

Usage = namedtuple("Usage", "total used free")


def test_a_storage_that_takes_bytes_is_well_and_keeps_none() -> None:
    assert health.storage().health is Health.OK
    assert list(store().ids()) == []


def test_a_storage_that_takes_none_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def create(self, blob_id: object) -> None:
            raise StorageFull

    monkeypatch.setattr(health, "store", Full)
    with pytest.raises(StorageFull):
        health.storage()


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (health.LEAST_FREE_BYTES, Health.OK),
        (health.LEAST_FREE_BYTES - 1, Health.FAILED),
    ],
)
@pytest.mark.parametrize("full", ["DATA_DIR", "BLOBS_DIR"])
def test_the_fuller_of_two_disks_counts(
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full: str,
    free: int,
    expected: Health,
) -> None:
    folders = {"DATA_DIR": tmp_path / "data", "BLOBS_DIR": tmp_path / "blobs"}
    for folder in folders.values():
        folder.mkdir()
    settings.DATA_DIR = folders["DATA_DIR"]
    settings.UPLOADS = {**settings.UPLOADS, "BLOBS_DIR": folders["BLOBS_DIR"]}
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda folder: Usage(0, 0, free if folder == folders[full] else 2**40),
    )
    assert health.disk().health is expected


@pytest.mark.django_db
def test_the_keys_are_well_when_the_ring_opens_and_none_is_missing(owner: Any) -> None:
    owner_key(owner.pk)
    found = health.keys()
    assert found.health is Health.OK
    assert found.facts["active_master_key"] == key_ring().active
    assert found.facts["missing_master_keys"] == ""


@pytest.mark.django_db
def test_a_master_key_that_is_missing_is_named(owner: Any) -> None:
    owner_key(owner.pk)
    OwnerKey.objects.update(master_key_id="lost")
    found = health.keys()
    assert found.health is Health.DEGRADED
    assert found.facts["missing_master_keys"] == "lost"


@pytest.mark.django_db
def test_a_ring_that_does_not_open_fails_and_tells_nothing(settings: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_JSON": '{"keys": "c2VjcmV0"}'}
    found = health.keys()
    assert (found.health, found.facts) == (Health.FAILED, {})
