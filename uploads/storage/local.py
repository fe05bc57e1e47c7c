"""A folder of this machine.

A blob is written beside its place, made durable, then renamed into it: at any moment of a crash
it is whole or not there. Its name is its random id.
"""

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings

from config.durable import sync_folder
from uploads.errors import StorageFull
from uploads.storage.errors import BlobMissing, StorageFailed
from uploads.storage.writing import BlockWriter

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PARTIAL = ".part"
NAME = re.compile(r"[0-9a-f]{32}")


class LocalStore:
    """256 subfolders by the first byte of the id, files of mode 0600."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """Keep blobs in `folder`; without one, in `UPLOADS["BLOBS_DIR"]`."""
        self._given = folder
        self._named: str | Path = ""
        self._folder = Path()
        self._known_folders: set[Path] = set()

    @property
    def folder(self) -> Path:
        """Return where the blobs lie."""
        named = self._given or settings.UPLOADS["BLOBS_DIR"]
        if named != self._named:
            self._folder, self._named = Path(named), named
        return self._folder

    def create(self, blob_id: UUID) -> "LocalSink":
        path = self._path(blob_id)
        with _REFUSING:
            self._ensure_folder(path.parent)
            return LocalSink(path)

    def open(self, blob_id: UUID) -> "LocalBlob":
        with _REFUSING:
            return LocalBlob(self._path(blob_id))

    def remove(self, blob_id: UUID) -> None:
        with _REFUSING:
            self._path(blob_id).unlink(missing_ok=True)

    def adopt(self, blob_id: UUID, file: Path) -> None:
        """Make a blob of a durable `file` in this file system, by giving it a second name."""
        path = self._path(blob_id)
        with _REFUSING:
            self._ensure_folder(path.parent)
            path.unlink(missing_ok=True)  # a commit that died before its row left it
            path.hardlink_to(file)
            sync_folder(path.parent)

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
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):  # it was renamed or removed meanwhile
                    if entry.stat().st_mtime <= latest:
                        yield entry

    def _path(self, blob_id: UUID) -> Path:
        name = blob_id.hex
        return self.folder / f"{name[:2]}/{name}"

    def _ensure_folder(self, folder: Path) -> None:
        """Make the name of `folder` durable, also if another process made it and died."""
        if folder in self._known_folders:
            return
        if not folder.parent.exists():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(folder.parent.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        self._known_folders.add(folder)


class LocalSink:
    """One file being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A name of its own: what a killed process left under the same id is in nobody's way.
        self._partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._partial, flags, 0o600)
        self._blocks = BlockWriter(self._descriptor)

    def write(self, data: bytes | memoryview) -> None:
        with _REFUSING:
            self._blocks.write(data)

    def commit(self) -> None:
        with _REFUSING:
            self._blocks.flush()
            # After a failed fsync the kernel may drop the pages and report success next time:
            # the blob is given up, never synced again.
            os.fsync(self._descriptor)
            self._blocks.close()
            os.close(self._take_descriptor())
            self._partial.rename(self._path)
            sync_folder(self._path.parent)

    def abort(self) -> None:
        if self._descriptor >= 0:
            self._blocks.close()
            os.close(self._take_descriptor())
        self._partial.unlink(missing_ok=True)

    def _take_descriptor(self) -> int:
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor


class LocalBlob:
    """One file being read."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        with _REFUSING:
            return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class _Refusing:
    """Names what the operating system refused. Not made of a generator, which costs three times
    as much: a small file passes it a dozen times.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise BlobMissing from error
        if isinstance(error, OSError):
            raise (StorageFull if error.errno in FULL else StorageFailed) from error


_REFUSING = _Refusing()
