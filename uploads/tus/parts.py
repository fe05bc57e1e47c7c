"""The ciphertext of sessions that still arrive: one file each, in a folder of this machine.

It is appended to, synced, cut back to what is durable, and at the end becomes a blob: by a second
name where blobs lie in the same file system, by a copy elsewhere.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from uuid import UUID

from django.conf import settings

from config.durable import sync_folder
from uploads.errors import StorageFull
from uploads.storage import BlobMissing, StorageFailed, store, stores
from uploads.storage.local import FULL, LocalStore
from uploads.storage.writing import BlockWriter
from uploads.tus.errors import SessionGone, SessionLocked

FOLDER = "arriving"  # beside the subfolders of the blobs, and in their file system
COPY_BYTES = 1024 * 1024
SYNCS = 4  # at a time; a disk does not do more of them at once
LOCK_PAUSE_S = 0.002  # between two looks at a lock that is worth waiting for


class Part:
    """The file of one session, a `RereadableSink`.

    Whoever writes holds its lock, which ends with the process: two writers, of one process or
    of two, never touch the file at once. A block that another thread still writes holds it, too.
    """

    def __init__(self, blob_id: UUID) -> None:
        self._descriptor = -1
        self._blob_id = blob_id
        self._path = path_of(blob_id)
        self._named = self._path.exists()  # a new name has to be made durable once
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with _refusing():
            _ensure_folder(self._path.parent)
            self._descriptor = os.open(self._path, flags, 0o600)
        self._turn = Lock()  # over the number of those who hold the lock of the file
        self._holders = 0
        self._syncing: Future[None] | None = None
        self._blocks = self._writer_at(0)

    def _writer_at(self, offset: int) -> BlockWriter:
        return BlockWriter(self._descriptor, offset, begun=self._share, ended=self._let_go)

    @contextmanager
    def locked(self, *, patience_s: float = 0.0) -> Iterator[None]:
        """Hold the lock of the file.

        Raises:
            SessionLocked: somebody else does, and went on doing so for `patience_s` seconds.
        """
        deadline = time.monotonic() + patience_s
        while not self._lock():
            if time.monotonic() >= deadline:
                raise SessionLocked
            time.sleep(LOCK_PAUSE_S)
        try:
            yield
        finally:
            self._let_go()

    def _lock(self) -> bool:
        with self._turn:
            if not self._holders:
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
            self._holders += 1
        return True

    def _share(self) -> None:
        with self._turn:
            self._holders += 1

    def _let_go(self) -> None:
        with self._turn:
            self._holders -= 1
            if not self._holders:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def cut(self, size: int) -> None:
        """Forget what lies beyond `size` bytes, and write on from there."""
        with _refusing():
            self._blocks.close()
            os.ftruncate(self._descriptor, size)
            self._blocks = self._writer_at(size)

    def write(self, data: bytes | memoryview) -> None:
        with _refusing():
            self._blocks.write(data)

    def sync(self) -> None:
        """Make all that was written durable."""
        self.begin_sync().result()

    def begin_sync(self) -> "Future[None]":
        """Begin to make what was written until now durable, while more is written.

        What the operating system refuses is raised by this call or by the result, and again by
        whatever follows: it tells of a lost write only once.
        """
        if self._syncing is not None:
            self._syncing.result()
        with _refusing():
            self._blocks.flush()
        self._syncing = _syncing().submit(self._sync)
        return self._syncing

    def _sync(self) -> None:
        with _refusing():
            os.fsync(self._descriptor)
            if not self._named:
                sync_folder(self._path.parent)
                self._named = True

    def source(self) -> "PartSource":
        """Return what has been written."""
        with _refusing():
            self._blocks.flush()
        return PartSource(self._descriptor)

    def commit(self) -> None:
        """Make a durable blob of it. The file stays until `discard`.

        Raises:
            SessionGone: the session was ended meanwhile, and the file with it.
        """
        self.sync()
        target = next(iter(stores().values()))
        if isinstance(target, LocalStore):
            try:
                target.adopt(self._blob_id, self._path)
                return
            except BlobMissing:
                raise SessionGone from None
            except StorageFailed:  # not every file system knows second names
                pass
        self._copy()

    def _copy(self) -> None:
        source = self.source()
        sink = store().create(self._blob_id)
        try:
            for offset in range(0, source.size, COPY_BYTES):
                sink.write(source.read_at(offset, COPY_BYTES))
            sink.commit()
        except BaseException:
            sink.abort()
            raise

    def abort(self) -> None:
        """Close the file; what is durable in it stays for whoever goes on."""
        if self._descriptor >= 0:
            if self._syncing is not None:
                self._syncing.exception()  # wait, whatever becomes of it
            self._blocks.close()
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Close the file and remove it."""
        self.abort()
        self._path.unlink(missing_ok=True)

    def __del__(self) -> None:
        self.abort()


@cache
def _syncing() -> ThreadPoolExecutor:
    """Return the threads of this process that wait for the disk."""
    return ThreadPoolExecutor(SYNCS, "syncing")


os.register_at_fork(after_in_child=_syncing.cache_clear)  # threads do not survive a fork


class PartSource:
    """A `RangeSource` over an open part."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        with _refusing():
            return os.pread(self._descriptor, length, offset)


def path_of(blob_id: UUID) -> Path:
    """Return where the part of a blob lies."""
    return _folder() / f"{blob_id.hex}.part"


def parts(*, older_than_s: float) -> Iterator[UUID]:
    """Yield the blob id of every part that was last written to so many seconds ago or earlier."""
    latest = time.time() - older_than_s
    for path in sorted(_folder().glob("*.part")):
        with suppress(FileNotFoundError, ValueError):
            if path.stat().st_mtime <= latest:
                yield UUID(path.stem)


def remove_part(blob_id: UUID) -> None:
    """Remove the part of a blob, if there is one."""
    with _refusing():
        path_of(blob_id).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.UPLOADS["BLOBS_DIR"]) / FOLDER


def _ensure_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)


@contextmanager
def _refusing() -> Iterator[None]:
    """Name what the operating system refused."""
    try:
        yield
    except OSError as error:
        raise (StorageFull if error.errno in FULL else StorageFailed) from error
