"""Many at once: quotas hold, and a session has one writer."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections

from tests.uploads.api.test_uploads_api import file_part, form
from tests.uploads.tus.conftest import TEXT, Tus, content_of, only_upload
from uploads.models import Quota, Upload, UploadSession
from uploads.storage import writing
from uploads.storage.lanes import BLOCK_BYTES as LARGE_BLOCK_BYTES
from uploads.storage.lanes import Lanes
from uploads.tus.errors import SessionLocked
from uploads.tus.parts import Part

FORM = form(file_part("a.txt", TEXT))

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(jobs: Sequence[Callable[[], Any]]) -> Counter[int]:
    """Run all jobs at the same moment; return how often each status was answered."""
    wait_for_connections(len(jobs))
    gate = threading.Barrier(len(jobs))
    statuses: Counter[int] = Counter()

    def run(job: Callable[[], Any]) -> None:
        gate.wait()
        try:
            statuses[job().status_code] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def wait_for_connections(count: int) -> None:
    """Wait until PostgreSQL has so many left; ended ones hold theirs for a moment more."""
    if connection.vendor != "postgresql":
        return
    question = (
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int - count(*)"
        " FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(question)
            if cursor.fetchone()[0] >= count:
                return
            time.sleep(0.1)


@pytest.fixture
def clients(client_of, owner, pipelines):
    return lambda count: [Tus(client_of(owner)) for _ in range(count)]


def test_fifty_creations_at_once_stay_within_the_quota(owner, clients):
    Quota.objects.create(user=owner, max_bytes=20 * 100)
    statuses = at_once([partial(tus.post, 100) for tus in clients(50)])
    assert statuses == {201: 20, 413: 30}
    quota = Quota.objects.get()
    assert (quota.reserved_bytes, quota.reserved_files) == (2000, 20)


def test_all_doors_share_the_last_of_a_quota(owner, clients):
    Quota.objects.create(user=owner, max_bytes=3 * len(TEXT))
    crowd = clients(50)
    by_tus = [partial(tus.post, body=TEXT) for tus in crowd[:17]]
    by_put = [
        partial(tus.api.generic, "PUT", "/api/v1/uploads/a.txt", TEXT, "text/plain")
        for tus in crowd[17:34]
    ]
    by_form = [partial(tus.api.post, "/api/v1/uploads/", **FORM) for tus in crowd[34:]]
    statuses = at_once(by_tus + by_put + by_form)
    quota = Quota.objects.get()
    assert Upload.objects.count() == quota.used_files == statuses[201] == 3
    assert quota.used_bytes == 3 * len(TEXT)
    assert (quota.reserved_bytes, quota.reserved_files) == (0, 0)


def test_a_reservation_is_not_for_other_doors(owner, clients):
    Quota.objects.create(user=owner, max_bytes=len(TEXT) + 3)
    (tus,) = clients(1)
    path = tus.create()
    put = tus.api.generic("PUT", "/api/v1/uploads/a.txt", b"four", "text/plain")
    assert put.status_code == 413
    assert tus.patch(path, 0, TEXT).status_code == 204


def test_one_of_many_writers_wins(owner, clients):
    crowd = clients(8)
    path = crowd[0].create()
    statuses = at_once([partial(tus.patch, path, 0, TEXT) for tus in crowd])
    assert set(statuses) <= {204, 423}
    assert statuses[204] >= 1
    assert content_of(only_upload()) == TEXT
    quota = Quota.objects.get()
    assert (quota.used_files, quota.reserved_files) == (1, 0)


def test_an_end_and_a_deletion_at_once_leave_no_reservation(owner, clients):
    one, two = clients(2)
    for path in [one.create() for _ in range(5)]:
        at_once([partial(one.patch, path, 0, TEXT), partial(two.delete, path)])
    quota = Quota.objects.get()
    assert (quota.reserved_bytes, quota.reserved_files) == (0, 0)
    assert quota.used_files == Upload.objects.count()
    assert not UploadSession.objects.exists()


def test_nobody_gets_the_lock_of_a_part_while_another_thread_still_writes_a_block_of_it(
    settings, tmp_path, monkeypatch
):
    settings.UPLOADS = {**settings.UPLOADS, "BLOBS_DIR": str(tmp_path)}
    only = Lanes(1)
    monkeypatch.setattr(writing, "lanes", lambda: only)
    blob_id, gate, pwrite = uuid4(), threading.Event(), os.pwrite
    ours, theirs = Part(blob_id), Part(blob_id)

    def late(descriptor: int, data: memoryview, offset: int) -> int:
        if threading.current_thread().name.startswith("writing"):
            assert gate.wait(10)
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", late)
    with ours.locked():
        ours.write(bytes(writing.BLOCK_BYTES + LARGE_BLOCK_BYTES))
    with pytest.raises(SessionLocked), theirs.locked():
        pass
    with ours.locked():  # whoever has it may go on meanwhile
        pass
    gate.set()
    with theirs.locked(patience_s=1):
        assert theirs.source().size == writing.BLOCK_BYTES + LARGE_BLOCK_BYTES
