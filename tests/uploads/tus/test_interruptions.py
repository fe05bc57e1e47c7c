"""What is left of an upload when the network, the disk or the process fails."""

import errno
import hashlib
import os
import random
import threading
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.utils import timezone

from tests.uploads.tus.conftest import (
    content_of,
    only_upload,
    session_at,
    stored_files,
)
from uploads.deletion import sweep
from uploads.encryption import SEGMENT_BYTES
from uploads.errors import StorageFull
from uploads.key_models import UploadKey
from uploads.models import Quota, Upload, UploadSession
from uploads.storage import StorageFailed
from uploads.tus import claims, digests, errors, receiver
from uploads.tus.parts import Part, path_of
from uploads.tus.receiver import SessionReceiver, open_receiver

pytestmark = pytest.mark.django_db

MARKER = b"a marker that nobody else writes "
CONTENT = MARKER + random.Random(3).randbytes(3 * SEGMENT_BYTES)


def answer(offset: int, upload: Upload | None) -> HttpResponse:
    return HttpResponse(headers={"Upload-Offset": str(offset)})


def open_at(path: str) -> SessionReceiver:
    return open_receiver(session_at(path), answer)


def let_the_lease_end() -> None:
    UploadSession.objects.exclude(lease_expires_at=None).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )


def kill(writer: SessionReceiver) -> None:
    """Leave everything as a killed process does: nothing is tidied up, memory is gone."""
    os.close(writer._part._descriptor)
    writer._part._descriptor = -1
    digests.digests._states.clear()
    let_the_lease_end()


def durable(tus: Any, path: str) -> int:
    return int(tus.head(path)["Upload-Offset"])


EDGES = [1, 1000, SEGMENT_BYTES - 33, SEGMENT_BYTES - 32, SEGMENT_BYTES - 31, 2 * SEGMENT_BYTES]


@pytest.mark.parametrize("arrived", EDGES)
def test_what_arrived_before_a_cut_is_kept(tus, arrived):
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    writer.write(CONTENT[:arrived])
    writer.abort()
    assert durable(tus, path) == arrived
    assert tus.patch(path, arrived, CONTENT[arrived:]).status_code == 204
    assert content_of(only_upload()) == CONTENT
    assert only_upload().sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_cut_after_the_last_byte_waits_for_the_end_of_the_upload(tus):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:1000])
    writer = open_at(path)
    writer.write(CONTENT[1000:])
    writer.abort()
    assert durable(tus, path) == 1000
    assert tus.patch(path, 1000, CONTENT[1000:]).status_code == 204
    assert content_of(only_upload()) == CONTENT


@pytest.mark.parametrize("lost", EDGES)
@pytest.mark.parametrize("safe", [0, 1, SEGMENT_BYTES - 32, SEGMENT_BYTES + 5])
def test_a_killed_server_keeps_what_it_acknowledged(tus, safe, lost):
    path = tus.create(len(CONTENT))
    if safe:
        tus.patch(path, 0, CONTENT[:safe])
    writer = open_at(path)
    writer.write(CONTENT[safe : safe + lost])
    kill(writer)
    assert durable(tus, path) == safe
    assert tus.patch(path, safe, CONTENT[safe:]).status_code == 204
    assert content_of(only_upload()) == CONTENT
    assert only_upload().sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def synced_at_once(monkeypatch):
    begin_sync = Part.begin_sync

    def begun_and_ended(part: Part) -> Any:
        syncing = begin_sync(part)
        syncing.exception()
        return syncing

    monkeypatch.setattr(Part, "begin_sync", begun_and_ended)


@pytest.mark.usefixtures("synced_at_once")
def test_a_long_body_is_made_durable_on_its_way(tus, monkeypatch):
    monkeypatch.setattr(receiver, "CHECKPOINT_BYTES", 300_000)
    monkeypatch.setattr(receiver, "CHECKPOINT_S", 0)
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    for start in range(0, 700_000, 100_000):
        writer.write(CONTENT[start : start + 100_000])
    kill(writer)
    assert durable(tus, path) == 600_000
    assert tus.patch(path, 600_000, CONTENT[600_000:]).status_code == 204
    assert content_of(only_upload()) == CONTENT


@pytest.mark.usefixtures("synced_at_once")
def test_checkpoints_of_a_fast_line_keep_a_distance_in_time(tus, monkeypatch):
    monkeypatch.setattr(receiver, "CHECKPOINT_BYTES", 300_000)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    writer.write(CONTENT[:400_000])
    writer.write(CONTENT[400_000:500_000])
    assert UploadSession.objects.get().offset == 0
    now += receiver.CHECKPOINT_S
    writer.write(CONTENT[500_000:600_000])
    writer.write(CONTENT[600_000:700_000])
    kill(writer)
    assert durable(tus, path) == 600_000


def test_nobody_waits_for_the_disk_in_the_middle_and_only_what_is_durable_counts(tus, monkeypatch):
    monkeypatch.setattr(receiver, "CHECKPOINT_BYTES", 300_000)
    monkeypatch.setattr(receiver, "CHECKPOINT_S", 0)
    gate, fsync = threading.Event(), os.fsync

    def late(descriptor: int) -> None:
        if threading.current_thread().name.startswith("syncing"):
            assert gate.wait(10)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", late)
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    for start in range(0, 500_000, 100_000):
        writer.write(CONTENT[start : start + 100_000])
    assert UploadSession.objects.get().offset == 0
    gate.set()
    writer.abort()
    assert durable(tus, path) == 500_000
    assert tus.patch(path, 500_000, CONTENT[500_000:]).status_code == 204
    assert content_of(only_upload()) == CONTENT


@pytest.mark.usefixtures("synced_at_once")
def test_what_the_disk_refuses_in_the_middle_never_counts(tus, monkeypatch):
    monkeypatch.setattr(receiver, "CHECKPOINT_BYTES", 300_000)
    monkeypatch.setattr(receiver, "CHECKPOINT_S", 0)
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        writer.write(CONTENT[:300_000])
    with pytest.raises(StorageFailed):
        writer.write(CONTENT[300_000:400_000])
    writer.abort()
    assert durable(tus, path) == 0
    assert tus.patch(path, 0, CONTENT).status_code == 204
    assert content_of(only_upload()) == CONTENT


def test_a_failed_sync_is_not_made_good_by_a_later_one(monkeypatch):
    part = Part(uuid4())
    part.write(CONTENT)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        part.begin_sync().exception()
    for ending in (part.sync, part.commit):
        with pytest.raises(StorageFailed):
            ending()
    part.discard()


def refuse(_: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_server_killed_between_the_blob_and_its_row_makes_one_upload(tus, settings, monkeypatch):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:400_000])
    monkeypatch.setattr("uploads.intake.Arrival._remove_blob", lambda _: None)
    monkeypatch.setattr("processing.receivers.start_run", fail)
    writer = open_at(path)
    writer.write(CONTENT[400_000:])
    with pytest.raises(RuntimeError):
        writer.finish()
    kill(writer)
    monkeypatch.undo()
    assert durable(tus, path) == 400_000
    assert tus.patch(path, 400_000, CONTENT[400_000:]).status_code == 204
    assert content_of(only_upload()) == CONTENT
    assert len(stored_files(settings)) == 1


def fail(**_: Any) -> None:
    raise RuntimeError


def test_an_end_that_failed_can_be_tried_again(tus, settings, monkeypatch):
    path = tus.create(len(CONTENT))
    monkeypatch.setattr("processing.receivers.start_run", fail)
    assert tus.patch(path, 0, CONTENT).status_code == 500
    assert durable(tus, path) == 0
    monkeypatch.undo()
    assert tus.patch(path, 0, CONTENT).status_code == 204
    assert content_of(only_upload()) == CONTENT
    assert len(stored_files(settings)) == 1
    quota = Quota.objects.get()
    assert (quota.used_bytes, quota.used_files) == (len(CONTENT), 1)
    assert (quota.reserved_bytes, quota.reserved_files) == (0, 0)


@pytest.mark.parametrize("refusal", [StorageFull, StorageFailed])
def test_a_full_or_failing_disk_keeps_the_session(tus, monkeypatch, refusal):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:10])

    def refuse(*_: Any) -> None:
        raise refusal

    monkeypatch.setattr(Part, "write", refuse)
    response = tus.patch(path, 10, CONTENT[10:])
    assert (response.status_code, response.json()["code"]) == (refusal.status, refusal.code)
    monkeypatch.undo()
    assert durable(tus, path) == 10
    assert tus.patch(path, 10, CONTENT[10:]).status_code == 204
    assert content_of(only_upload()) == CONTENT


def test_the_row_waits_for_the_disk(tus, monkeypatch):
    path = tus.create(len(CONTENT))

    def refuse(_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    assert tus.patch(path, 0, CONTENT[:1000]).status_code == 503
    monkeypatch.undo()
    assert durable(tus, path) == 0


def test_bytes_are_synced_before_the_row_says_so(tus, monkeypatch):
    path = tus.create(len(CONTENT))
    order: list[str] = []

    def noting(name: str, real: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            order.append(name)

        return noted

    monkeypatch.setattr(Part, "_sync", noting("sync", Part._sync))
    monkeypatch.setattr(claims.Claim, "_change", noting("row", claims.Claim._change))
    tus.patch(path, 0, CONTENT[:1000])
    assert order == ["sync", "row"]


def test_the_name_of_a_new_file_is_made_durable_with_its_first_bytes(tus, monkeypatch):
    synced: list[Any] = []
    monkeypatch.setattr("uploads.tus.parts.sync_folder", synced.append)
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:1000])
    folder = path_of(session_at(path).blob_id).parent
    assert synced[-1] == folder
    count = len(synced)
    tus.patch(path, 1000, CONTENT[1000:2000])
    assert len(synced) == count


def test_half_a_body_with_a_checksum_is_not_kept(tus):
    from uploads.tus.protocol import Checksum

    path = tus.create(len(CONTENT))
    writer = open_receiver(session_at(path), answer, checksum=Checksum("sha1", b"\0" * 20))
    writer.write(CONTENT[:1000])
    writer.abort()
    assert durable(tus, path) == 0
    assert tus.patch(path, 0, CONTENT).status_code == 204
    assert content_of(only_upload()) == CONTENT


@pytest.mark.parametrize("harm", ["removed", "cut", "changed"])
def test_lost_ciphertext_ends_the_session(tus, harm):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:600_000])
    part = path_of(session_at(path).blob_id)
    if harm == "removed":
        part.unlink()
    elif harm == "cut":
        os.truncate(part, 300_000)
    else:
        part.write_bytes(b"\0" * part.stat().st_size)
    assert tus.patch(path, 600_000, CONTENT[600_000:]).status_code == 410
    assert tus.head(path).status_code == 404
    assert Quota.objects.get().reserved_bytes == 0


def test_changed_ciphertext_never_becomes_an_upload(tus):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:600_000])
    part = path_of(session_at(path).blob_id)
    raw = bytearray(part.read_bytes())
    raw[1000] ^= 1
    part.write_bytes(raw)
    digests.digests._states.clear()  # as after a restart, when the blob is read once more
    assert tus.patch(path, 600_000, CONTENT[600_000:]).status_code == 500
    assert not Upload.objects.exists()


def test_a_body_of_unknown_length_ends_at_the_declared_length(tus):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:1000])
    writer = open_at(path)
    writer.write(CONTENT[1000:])
    with pytest.raises(errors.LengthExceeded):
        writer.write(b"!")
    writer.abort()
    assert not Upload.objects.exists()
    assert durable(tus, path) == 1000


# --- one writer ------------------------------------------------------------------------------


def test_a_second_writer_is_refused_while_the_first_one_writes(tus):
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    writer.write(CONTENT[:10])
    response = tus.patch(path, 0, CONTENT)
    assert (response.status_code, response.json()["code"]) == (423, "upload_session_locked")
    assert response["Retry-After"] == "5"
    assert tus.head(path).status_code == 200
    writer.write(CONTENT[10:])
    writer.finish()
    assert content_of(only_upload()) == CONTENT


def test_a_writer_that_was_taken_over_cannot_write_any_more(tus):
    path = tus.create(len(CONTENT))
    stale = open_at(path)
    stale.write(b"x" * 300_000)
    let_the_lease_end()
    assert tus.patch(path, 0, CONTENT[:500_000]).status_code == 204
    stale._claim._renew_at = 0  # so much time has passed
    with pytest.raises(errors.SessionLocked):
        stale.write(b"y" * 300_000)
    stale.abort()
    assert durable(tus, path) == 500_000
    assert tus.patch(path, 500_000, CONTENT[500_000:]).status_code == 204
    assert content_of(only_upload()) == CONTENT


def test_a_writer_that_was_taken_over_cannot_keep_what_it_has(tus):
    path = tus.create(len(CONTENT))
    stale = open_at(path)
    stale.write(b"x" * 300_000)
    let_the_lease_end()
    assert tus.patch(path, 0, CONTENT[:1000]).status_code == 204
    stale.abort()
    assert durable(tus, path) == 1000


def test_a_writer_in_the_middle_of_a_write_cannot_be_taken_over(tus):
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    let_the_lease_end()
    with writer._part.locked():
        assert tus.patch(path, 0, CONTENT).status_code == 423
    assert tus.patch(path, 0, CONTENT).status_code == 204


def test_a_session_ended_under_its_writer_makes_no_upload(tus, settings):
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    writer.write(CONTENT)
    assert tus.delete(path).status_code == 204
    with pytest.raises(errors.SessionGone):
        writer.finish()
    writer.abort()
    assert not Upload.objects.exists()
    assert stored_files(settings) == []


def test_progress_renews_the_lease(tus):
    path = tus.create(len(CONTENT))
    writer = open_at(path)
    before = session_at(path).lease_expires_at
    writer._claim._renew_at = 0
    writer.write(CONTENT[:10])
    after = session_at(path).lease_expires_at
    assert before is not None
    assert after is not None
    assert before < after <= timezone.now() + timedelta(seconds=5)
    writer.abort()


# --- the SHA-256 between requests ------------------------------------------------------------


def test_the_blob_is_read_once_more_only_where_the_digest_was_lost(tus, monkeypatch):
    from uploads.encryption import BlobReader

    read: list[int] = []
    reading = BlobReader.chunks

    def count(self: Any, *args: Any, **kwargs: Any) -> Any:
        read.append(1)
        return reading(self, *args, **kwargs)

    monkeypatch.setattr(BlobReader, "chunks", count)
    for lost in (False, True):
        path = tus.create(len(CONTENT))
        for start in range(0, len(CONTENT), 200_000):
            if lost:
                digests.digests._states.clear()
            assert tus.patch(path, start, CONTENT[start : start + 200_000]).status_code == 204
        assert len(read) == lost
    assert set(Upload.objects.values_list("sha256", flat=True)) == {
        hashlib.sha256(CONTENT).hexdigest()
    }


def test_only_so_many_digests_are_kept():
    parked = digests.ParkedDigests(kept=2)
    for number in range(3):
        parked.park(str(number), 1, hashlib.sha256(b"x"))
    assert [parked.at(str(number), 1) is None for number in range(3)] == [True, False, False]
    assert parked.at("2", 2) is None


# --- what lies on the disk -------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [len(MARKER), 70_000, SEGMENT_BYTES + 100])
def test_no_plaintext_of_a_session_lies_anywhere(tus, settings, arrived):
    content = MARKER * 20_000
    path = tus.create(len(content))
    tus.patch(path, 0, content[:arrived])
    row = UploadSession.objects.values().get()
    on_disk = b"".join(file.read_bytes() for file in stored_files(settings))
    everything = on_disk + b"".join(bytes(row[c]) for c in ("checkpoint", "sealed_metadata"))
    assert len(everything) > arrived
    assert MARKER not in everything
    assert b"notes.txt" not in everything
    assert MARKER in everything + content[:arrived]  # the search would have found it
    (part,) = stored_files(settings)
    assert part.stat().st_mode & 0o777 == 0o600


# --- sweeping --------------------------------------------------------------------------------


def test_a_sweep_ends_expired_sessions_and_spares_the_others(tus, settings):
    living, expired, finished = (tus.create(len(CONTENT)) for _ in range(3))
    for path in (living, expired):
        tus.patch(path, 0, CONTENT[:1000])
    tus.patch(finished, 0, CONTENT)
    past = timezone.now() - timedelta(seconds=1)
    for path in (expired, finished):
        UploadSession.objects.filter(pk=session_at(path).pk).update(expires_at=past)
    assert sweep(grace_s=0).sessions == 2
    assert durable(tus, living) == 1000
    assert tus.head(expired).status_code == tus.head(finished).status_code == 404
    assert content_of(only_upload()) == CONTENT
    assert len(stored_files(settings)) == 2
    assert UploadKey.objects.count() == 2
    quota = Quota.objects.get()
    assert (quota.reserved_bytes, quota.reserved_files) == (len(CONTENT), 1)
    assert (quota.used_bytes, quota.used_files) == (len(CONTENT), 1)


def test_a_sweep_removes_parts_without_a_session(tus, settings):
    path = tus.create(len(CONTENT))
    tus.patch(path, 0, CONTENT[:1000])
    UploadSession.objects.all().delete()
    sweep(grace_s=3600)
    assert len(stored_files(settings)) == 1
    sweep(grace_s=0)
    assert stored_files(settings) == []


def test_storage_without_second_names_gets_a_copy(tus, settings, monkeypatch):
    def refuse(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    path = tus.create(len(CONTENT))
    assert tus.patch(path, 0, CONTENT).status_code == 204
    assert content_of(only_upload()) == CONTENT
    assert len(stored_files(settings)) == 1
