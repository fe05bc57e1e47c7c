"""The drop folder of one user on the disk: what lies in it, and every move between its parts."""

import os
import re
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from config.durable import sync_folder
from config.errors import AppError
from uploads.watch.receipts import SUFFIX, free_stem, refusal_facts, write_receipt

PARTS = ("unprocessed", "underprocess", "processed", "failed")
DEEPEST = 8  # folders inside `unprocessed`
TOKEN = re.compile(r"[0-9a-f]{32}")

_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Found:
    """Something in `unprocessed`: `name` in the open folder with the descriptor `folder`."""

    name: str
    folder: int
    depth: int

    def status(self) -> os.stat_result:
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


@dataclass(frozen=True)
class Claimed:
    """A file moved into `underprocess`, in a folder of its own that is named by the token."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def token(self) -> str:
        return self.path.parent.name

    @property
    def note(self) -> Path:
        """Where the receipt waits until the run has ended."""
        return self.path.parent.with_name(self.token + SUFFIX)

    def discard(self) -> None:
        """Remove the file: it is stored elsewhere."""
        self.path.unlink(missing_ok=True)
        self.path.parent.rmdir()


@dataclass(frozen=True)
class DropFolder:
    """The four folders of one user."""

    root: Path

    @property
    def unprocessed(self) -> Path:
        return self._part("unprocessed")

    @property
    def underprocess(self) -> Path:
        return self._part("underprocess")

    @property
    def processed(self) -> Path:
        return self._part("processed")

    @property
    def failed(self) -> Path:
        return self._part("failed")

    def _part(self, name: str) -> Path:
        """Return one of the four. Its user may have put a link in its place: that leads nowhere.

        Raises:
            NotADirectoryError: it is no folder of its own.
        """
        path = self.root / name
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise NotADirectoryError
        return path

    def make(self) -> None:
        """Make what is missing of it.

        Raises:
            NotADirectoryError: something else is in the place of a part.
        """
        for part in PARTS:
            (self.root / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._part(part)

    def look(self, on_folder: Callable[[int], None]) -> Generator[Found, None, None]:
        """Yield what lies in `unprocessed` and the folders in it, except these folders.

        `on_folder` gets the descriptor of each folder before its names are read, so that what
        comes later can be noticed. Folders are walked by descriptor: exchanging one for a link
        in the meantime leads nowhere.
        """
        descriptor = os.open(self.unprocessed, _READ_FOLDER)
        yield from _walk(descriptor, 0, on_folder)

    def claim(self, found: Found) -> Claimed:
        """Move the file into `underprocess`, durably, under a new token."""
        folder = self.underprocess / uuid4().hex
        folder.mkdir(mode=0o700)
        try:
            os.rename(found.name, folder / found.name, src_dir_fd=found.folder)
        except OSError:
            folder.rmdir()
            raise
        sync_folder(folder)
        sync_folder(self.underprocess)
        os.fsync(found.folder)  # or a power cut brings the file back after its commit
        return Claimed(folder / found.name)

    def put_back(self, path: Path) -> None:
        """Move something from `underprocess` to `unprocessed`."""
        target = self.unprocessed / path.name
        if os.path.lexists(target):
            target = self.unprocessed / free_stem(self.unprocessed, path.name, uuid4().hex)
        path.rename(target)

    def fail_found(self, found: Found, error: AppError) -> None:
        """Move what cannot be taken to `failed`, with a receipt that says why."""
        stem = free_stem(self.failed, found.name, uuid4().hex)
        os.rename(found.name, self.failed / stem, src_dir_fd=found.folder)
        write_receipt(self.failed / (stem + SUFFIX), **refusal_facts(found.name, error))

    def fail_claimed(self, claimed: Claimed, error: AppError) -> None:
        """Move a file that was refused to `failed`, with a receipt that says why."""
        stem = free_stem(self.failed, claimed.name, claimed.token)
        claimed.path.rename(self.failed / stem)
        write_receipt(self.failed / (stem + SUFFIX), **refusal_facts(claimed.name, error))
        claimed.path.parent.rmdir()

    def close_note(self, note: Path, name: str, *, well: bool) -> None:
        """Move a receipt to where its run ended."""
        folder = self.processed if well else self.failed
        token = note.name.removesuffix(SUFFIX)
        note.rename(folder / (free_stem(folder, name, token) + SUFFIX))

    def notes(self) -> Iterator[Path]:
        """Return the receipts that wait for the end of their run."""
        return filter(_is_note, self.underprocess.iterdir())

    def leftovers(self) -> Iterator[Claimed]:
        """Yield files that were claimed and not finished; put back what nobody claimed."""
        for path in list(self.underprocess.iterdir()):
            if path.name.endswith(SUFFIX + ".partial"):
                path.unlink()
            elif TOKEN.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield from map(Claimed, list(path.iterdir()))
                with suppress(OSError):  # not empty: it could not be finished
                    path.rmdir()
            elif not _is_note(path):
                self.put_back(path)


def _is_note(path: Path) -> bool:
    return path.suffix == SUFFIX and TOKEN.fullmatch(path.stem) is not None


def _walk(
    descriptor: int, depth: int, on_folder: Callable[[int], None]
) -> Generator[Found, None, None]:
    try:
        on_folder(descriptor)
        with os.scandir(descriptor) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in names:
            if not is_folder or depth == DEEPEST:
                yield Found(name, descriptor, depth)
                continue
            with suppress(OSError):  # gone, or exchanged
                inner = os.open(name, _READ_FOLDER, dir_fd=descriptor)
                yield from _walk(inner, depth + 1, on_folder)
    finally:
        os.close(descriptor)


def kind_of(status: os.stat_result) -> str:
    """Return `file`, `folder` or `other`."""
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return "file" if stat.S_ISREG(status.st_mode) else "other"
