"""Large files are refused before the disk is full; small ones go on for longer."""

from typing import Any, NamedTuple

import pytest

from uploads import room
from uploads.errors import StorageFull
from uploads.models import Upload

MIB = 1024 * 1024


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Any:
    settings.UPLOADS = {**settings.UPLOADS, "BLOBS_DIR": tmp_path, "RESERVE_BYTES": 100 * MIB}

    def set_free(count: int, total: int = 10_000 * MIB) -> None:
        disk = Disk(total, total - count, count)
        monkeypatch.setattr("uploads.room.shutil.disk_usage", lambda _: disk)

    return set_free


@pytest.mark.parametrize(
    ("free_mib", "total_mib", "size_mib", "fits"),
    [
        (1000, 10_000, 900, True),
        (1000, 10_000, 901, False),
        (99, 10_000, 2, False),
        (99, 10_000, 1, True),
        (51, 10_000, 1, True),
        (50, 10_000, 1, False),
        (10, 100, 5, True),  # a twentieth of a small disk
        (10, 100, 6, False),
        (4, 100, 1, True),
    ],
)
def test_the_reserve_is_for_small_files(free, free_mib, total_mib, size_mib, fits):
    free(free_mib * MIB, total_mib * MIB)
    if fits:
        room.check_room(size_mib * MIB)
    else:
        with pytest.raises(StorageFull):
            room.check_room(size_mib * MIB)


@pytest.mark.django_db
def test_a_nearly_full_disk_refuses_large_files_and_takes_small_ones(
    client_of, owner, pipelines, free
):
    free(90 * MIB)
    api = client_of(owner)
    path = "/api/v1/uploads/a.txt"
    large = api.generic("PUT", path, b"x" * (2 * MIB), "text/plain")
    assert (large.status_code, large.json()["code"]) == (507, "storage_full")
    assert int(large["Retry-After"]) > 0
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(2 * MIB)}
    assert api.generic("POST", "/api/v1/tus/", headers=headers).status_code == 507
    assert not Upload.objects.exists()
    assert api.generic("PUT", path, b"small", "text/plain").status_code == 201


@pytest.mark.django_db
def test_a_disk_that_fills_up_meanwhile_stops_a_large_file(
    client_of, owner, pipelines, free, monkeypatch
):
    monkeypatch.setattr("uploads.intake.LOOK_EVERY_BYTES", 4 * MIB)
    free(1000 * MIB)
    looks: list[int] = []

    def check(size: int) -> None:
        looks.append(size)
        if len(looks) == 3:
            free(90 * MIB)
        room.check_room(size)

    monkeypatch.setattr("uploads.intake.check_room", check)
    response = client_of(owner).generic(
        "PUT", "/api/v1/uploads/a.txt", b"x" * (20 * MIB), "text/plain"
    )
    assert response.status_code == 507
    assert len(looks) == 3
