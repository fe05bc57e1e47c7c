"""Where encrypted bytes lie. Knows nothing of what they are.

A blob is written beside its place, made durable, then renamed into it: at any moment of a crash
it is whole or not there. Its name is its random id.
"""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Protocol
from uuid import UUID

from django.conf import settings

from config.errors import AppError
from config.ranges import RangeSource
from uploads.errors import StorageFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PARTIAL = ".part"
NAME = re.compile(r"[0-9a-f]{32}")


class StorageFailed(AppError):
    code = "storage_failed"
    status = 503
    detail = "The storage did not take or give the bytes. Nothing of this was accepted."
    retry_after_s = 30


class BlobMissing(AppError):
    code = "blob_missing"
    status = 500
    detail = "The stored bytes of this file are gone."


class Sink(Protocol):
    """A blob that is being written."""

    def write(self, data: bytes) -> None: ...
    def commit(self) -> None:
        """Make the blob durable under its id; after this it is there."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. Harmless after a commit."""
        ...


class Stored(RangeSource, Protocol):
    """A blob that can be read."""

    def close(self) -> None: ...


class Store(Protocol):
    """What every storage backend can do."""

    def create(self, blob_id: UUID) -> Sink: ...
    def open(self, blob_id: UUID) -> Stored: ...
    def remove(self, blob_id: UUID) -> None: ...
    def ids(self, *, older_than_s: float = 0) -> Iterator[UUID]:
        """Yield the id of every whole blob that was stored so many seconds ago or earlier."""
        ...

    def sweep_partials(self, *, older_than_s: float) -> int:
        """Remove interrupted writes; return how many."""
        ...


def store() -> Store:
    """Return the storage of this deployment."""
    return _local_store(Path(settings.UPLOADS["BLOBS_DIR"]))


@cache
def _local_store(root: Path) -> "LocalStore":
    return LocalStore(root)


class LocalStore:
    """A folder: 256 subfolders by the first byte of the id, files of mode 0600."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._known_folders: set[Path] = set()

    def create(self, blob_id: UUID) -> "LocalSink":
        """Begin a blob.

        Raises:
            StorageFull, StorageFailed
        """
        path = self._path(blob_id)
        with _refusing():
            self._ensure_folder(path.parent)
            return LocalSink(path)

    def open(self, blob_id: UUID) -> "LocalBlob":
        """Open a blob.

        Raises:
            BlobMissing, StorageFailed
        """
        with _refusing():
            return LocalBlob(self._path(blob_id))

    def remove(self, blob_id: UUID) -> None:
        """Remove a blob, if it is there."""
        with _refusing():
            self._path(blob_id).unlink(missing_ok=True)

    def ids(self, *, older_than_s: float = 0) -> Iterator[UUID]:
        for entry in self._entries(older_than_s):
            if NAME.fullmatch(entry.name):
                yield UUID(entry.name)

    def sweep_partials(self, *, older_than_s: float) -> int:
        removed = 0
        for entry in self._entries(older_than_s):
            if entry.name.endswith(PARTIAL):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
        return removed

    def _entries(self, older_than_s: float) -> Iterator["os.DirEntry[str]"]:
        latest = time.time() - older_than_s
        for folder in sorted(self._root.iterdir()):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):  # it was renamed or removed meanwhile
                    if entry.stat().st_mtime <= latest:
                        yield entry

    def _path(self, blob_id: UUID) -> Path:
        return self._root / blob_id.hex[:2] / blob_id.hex

    def _ensure_folder(self, folder: Path) -> None:
        if folder in self._known_folders:
            return
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._root)
        self._known_folders.add(folder)


class LocalSink:
    """One file being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._partial, flags, 0o600)

    def write(self, data: bytes) -> None:
        with _refusing():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def commit(self) -> None:
        with _refusing():
            # After a failed fsync the kernel may drop the pages and report success next time:
            # the blob is given up, never synced again.
            os.fsync(self._descriptor)
            os.close(self._take_descriptor())
            self._partial.rename(self._path)
            sync_folder(self._path.parent)

    def abort(self) -> None:
        if self._descriptor >= 0:
            os.close(self._take_descriptor())
        self._partial.unlink(missing_ok=True)

    def _take_descriptor(self) -> int:
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor


class LocalBlob:
    """One file being read."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        with _refusing():
            return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusing() -> Iterator[None]:
    """Name what the operating system refused."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing from error
    except OSError as error:
        raise (StorageFull if error.errno in FULL else StorageFailed) from error
