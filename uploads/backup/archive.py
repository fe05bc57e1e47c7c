"""Where a backup lies: a folder, which takes only what is new, or one tar file.

Both hold the same names. A folder's files appear whole or not at all, and `manifest.json` last:
a backup that was interrupted leaves the one before it as it was.
"""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self, cast

from config.durable import sync_folder
from uploads.backup.errors import BackupFailed


class Archive(Protocol):
    """A backup being written or read; use it as a context manager."""

    keeps_earlier: bool  # whether files of an earlier backup are in there, too

    def write(self, name: str, content: Iterable[bytes], size: int) -> None:
        """Store `content`, which has `size` bytes, durably."""
        ...

    def size_of(self, name: str) -> int | None:
        """Return the bytes of what is stored already, None if it is not."""
        ...

    def read(self, name: str) -> io.BufferedReader:
        """Open what is stored.

        Raises:
            KeyError: it is not.
        """
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """Yield, in order, the names of what is stored below `prefix`."""
        ...

    def remove(self, name: str) -> None: ...
    def room(self) -> Path:
        """Return a folder beside the backup, for what is not part of it yet."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...


def open_archive(path: Path, *, for_writing: bool) -> Archive:
    """Return the backup at `path`: a tar file if its name ends so, a folder otherwise."""
    is_tar = path.is_file() or (path.suffix == ".tar" and not path.is_dir())
    if not for_writing and not path.exists():
        raise BackupFailed(f"There is no backup at {path}.")
    return TarArchive(path, for_writing=for_writing) if is_tar else FolderArchive(path)


class FolderArchive:
    """One file for each name."""

    keeps_earlier = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, content: Iterable[bytes], size: int) -> None:
        path = self._folder / name
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True)
            sync_folder(path.parent.parent)
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        if partial.stat().st_size != size:
            raise BackupFailed(f"{name} changed its size while it was copied: try again.")
        partial.rename(path)
        sync_folder(path.parent)

    def size_of(self, name: str) -> int | None:
        with suppress(FileNotFoundError):
            return (self._folder / name).stat().st_size
        return None

    def read(self, name: str) -> io.BufferedReader:
        try:
            return (self._folder / name).open("rb")
        except FileNotFoundError:
            raise KeyError(name) from None

    def names(self, prefix: str) -> Iterator[str]:
        for folder, folders, files in os.walk(self._folder / prefix):
            folders.sort()
            for file in sorted(files):
                yield str((Path(folder) / file).relative_to(self._folder))

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def room(self) -> Path:
        return self._folder

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


class TarArchive:
    """One uncompressed tar file, made anew each time: what is in it does not compress."""

    keeps_earlier = False

    def __init__(self, path: Path, *, for_writing: bool) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._for_writing = for_writing

    def write(self, name: str, content: Iterable[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        try:
            self._tar.addfile(member, _Pieces(content))
        except OSError as error:  # the content ended early
            raise BackupFailed(f"{name} could not be copied whole: {error}.") from error

    def size_of(self, name: str) -> int | None:  # noqa: ARG002 - nothing is there yet
        return None

    def read(self, name: str) -> io.BufferedReader:
        return cast("io.BufferedReader", self._tar.extractfile(self._tar.getmember(name)))

    def names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(n for n in self._tar.getnames() if n.startswith(f"{prefix}/")))

    def remove(self, name: str) -> None:
        """Nothing of an earlier backup is in here."""

    def room(self) -> Path:
        return self._path.parent

    def __enter__(self) -> Self:
        if not self._for_writing:
            try:
                self._tar = tarfile.open(self._path, "r:")
                self._tar.getmembers()  # finds a file that was cut
            except tarfile.TarError as error:
                raise BackupFailed(f"{self._path} is not a whole tar file: {error}.") from error
            return self
        self._partial.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(self._partial, flags, 0o600), "w+b")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._for_writing:
            self._tar.close()
            return
        if kind is not None:
            self._file.close()
            self._partial.unlink()
            return
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.rename(self._path)
        sync_folder(self._path.parent)


class _Pieces(io.RawIOBase):
    """An iterable of bytes as the file that `tarfile` reads from."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._content, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def file_pieces(file: io.BufferedReader, piece_bytes: int = 1024 * 1024) -> Iterator[bytes]:
    """Yield the rest of `file`."""
    while piece := file.read(piece_bytes):
        yield piece
