"""A drop folder on the disk: what lies in it, and every move between its parts.

Whoever may put files into it may rename and exchange everything in it at any moment. So nothing in
it is reached by a path: each folder is opened by its name in its open parent, links are not
followed, and files are moved from one open folder to another.
"""

import os
import re
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from config.durable import PARTIAL
from uploads.errors import LabelMalformed, Refusal
from uploads.labels import check_labels
from uploads.watch.errors import FolderTooDeep, Unreadable
from uploads.watch.receipts import SUFFIX, exists, free_stem, write_receipt

UNPROCESSED, UNDERPROCESS, PROCESSED, FAILED = PARTS = (
    "unprocessed",
    "underprocess",
    "processed",
    "failed",
)
DEEPEST = 8  # folders inside `unprocessed`
# A claim is a folder of its own, named by its token; the label of its file stands behind it, with
# colons for slashes, so that a crash does not lose it.
CLAIM = re.compile(r"(?P<token>[0-9a-f]{32})(?:\+(?P<label>[A-Za-z0-9_. :-]+))?")
NOTE = re.compile(r"[0-9a-f]{32}" + re.escape(SUFFIX))

_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Found:
    """Something in `unprocessed`: `name` in the open folder with the descriptor `folder`.

    `above` are the names of the folders that lead there. `unfit` says why it cannot be taken,
    where that is known already.
    """

    name: str
    folder: int
    above: tuple[str, ...] = ()
    unfit: type[Refusal] | None = None

    def status(self) -> os.stat_result:
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


@dataclass(frozen=True)
class Claimed:
    """A file moved into `underprocess`, in a folder of its own."""

    name: str
    token: str
    label: str = ""

    @property
    def place(self) -> str:
        """Return the name of its folder."""
        return f"{self.token}+{self.label.replace('/', ':')}" if self.label else self.token

    @property
    def note(self) -> str:
        """Return the name under which the receipt waits until the run has ended."""
        return self.token + SUFFIX


@dataclass(frozen=True)
class Version:
    """Which file it is, and in which state: another one differs in at least one of these."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Version":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def opened(name: str | Path, *, within: int | None = None) -> Iterator[int]:
    """Open a folder, inside an open one by its mere name; close it at the end.

    Raises:
        NotADirectoryError: it is something else, such as a link.
    """
    follow = 0 if within is None else os.O_NOFOLLOW
    descriptor = os.open(name, _READ_FOLDER | follow, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class DropFolder:
    """The four folders in `root`, which belongs to the operator; what is in it, to its user."""

    root: Path

    @contextmanager
    def part(self, name: str) -> Iterator[int]:
        """Open one of the four. Its user may have put a link in its place: that leads nowhere.

        Raises:
            NotADirectoryError: it is no folder of its own.
        """
        with opened(self.root) as root, opened(name, within=root) as part:
            yield part

    @contextmanager
    def place_of(self, claimed: Claimed) -> Iterator[int]:
        """Open the folder of a claim."""
        with self.part(UNDERPROCESS) as parent, opened(claimed.place, within=parent) as place:
            yield place

    def make(self) -> None:
        """Make what is missing of it.

        Raises:
            NotADirectoryError: something else is in the place of a part.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened(self.root) as root:
            for part in PARTS:
                _make_folder(part, root)
                with opened(part, within=root):
                    pass

    def look(self, on_folder: Callable[[int], None]) -> Generator[Found, None, None]:
        """Yield what lies in `unprocessed` and the folders in it, except these folders.

        `on_folder` gets the descriptor of each folder before its names are read, so that what
        comes later can be noticed. Exchanging a folder for a link in the meantime leads nowhere.
        """
        with self.part(UNPROCESSED) as descriptor:
            yield from _walk(descriptor, (), on_folder)

    def claim(self, found: Found) -> Claimed:
        """Move the file into `underprocess`, durably, under a new token."""
        claimed = Claimed(found.name, uuid4().hex, _label_of(found.above))
        with self.part(UNDERPROCESS) as parent:
            os.mkdir(claimed.place, 0o700, dir_fd=parent)
            try:
                with opened(claimed.place, within=parent) as place:
                    _move(found.name, found.folder, found.name, place)
                    # The last one, or a power cut brings the file back after its commit.
                    _make_durable(place, parent, found.folder)
            except OSError:
                with suppress(OSError):
                    os.rmdir(claimed.place, dir_fd=parent)
                raise
        return claimed

    def discard(self, claimed: Claimed, taken: Version | None) -> None:
        """Remove the file that was taken in, if it is still that one; put any other one back."""
        gone = suppress(FileNotFoundError, NotADirectoryError)
        with gone, self.place_of(claimed) as place:
            status = os.stat(claimed.name, dir_fd=place, follow_symlinks=False)
            if taken == Version.of(status):
                os.unlink(claimed.name, dir_fd=place)
            else:
                self._put_back(claimed, place)
        self._leave(claimed)

    def put_back(self, claimed: Claimed) -> None:
        """Move a claimed file to where it was found."""
        with self.place_of(claimed) as place:
            self._put_back(claimed, place)
        self._leave(claimed)

    def fail_found(self, found: Found, facts: dict[str, object]) -> None:
        """Move what cannot be taken to `failed`, with a receipt that holds `facts`."""
        self._fail(found.name, found.folder, uuid4().hex, facts)

    def fail_claimed(self, claimed: Claimed, facts: dict[str, object]) -> None:
        """Move a file that was refused to `failed`, with a receipt that holds `facts`."""
        with self.place_of(claimed) as place:
            self._fail(claimed.name, place, claimed.token, facts)
        self._leave(claimed)

    def write_note(self, claimed: Claimed, facts: dict[str, object]) -> None:
        """Write the receipt that waits for the end of the run."""
        with self.part(UNDERPROCESS) as folder:
            write_receipt(folder, claimed.note, facts)

    def close_note(self, note: str, name: str, facts: dict[str, object], *, well: bool) -> None:
        """Write the receipt of a run that has ended, and move it to where it ended.

        `name` is that of the file.
        """
        with self.part(UNDERPROCESS) as folder, self.part(PROCESSED if well else FAILED) as target:
            write_receipt(folder, note, facts)
            stem = free_stem(target, name, note.removesuffix(SUFFIX))
            _move(note, folder, stem + SUFFIX, target)

    def notes(self) -> list[str]:
        """Return the names of the receipts that wait for the end of their run."""
        with self.part(UNDERPROCESS) as folder:
            return [name for name in _names_in(folder) if NOTE.fullmatch(name)]

    def leftovers(self) -> Iterator[Claimed]:
        """Yield files that were claimed and not finished; put back what nobody claimed."""
        with self.part(UNDERPROCESS) as folder:
            for name in _names_in(folder):
                claim = CLAIM.fullmatch(name)
                if name.endswith(SUFFIX + PARTIAL) and not _is_folder(name, folder):
                    os.unlink(name, dir_fd=folder)
                elif claim and _is_folder(name, folder):
                    yield from _files_of(claim, folder)
                elif not NOTE.fullmatch(name):
                    self._put_into_unprocessed(name, folder, "")

    def _put_back(self, claimed: Claimed, place: int) -> None:
        self._put_into_unprocessed(claimed.name, place, claimed.label)

    def _put_into_unprocessed(self, name: str, folder: int, label: str) -> None:
        with ExitStack() as stack:
            target = stack.enter_context(self.part(UNPROCESSED))
            for inner in label.split("/") if label else ():
                _make_folder(inner, target)
                target = stack.enter_context(opened(inner, within=target))
            free = free_stem(target, name, uuid4().hex) if exists(target, name) else name
            _move(name, folder, free, target)

    def _fail(self, name: str, folder: int, token: str, facts: dict[str, object]) -> None:
        with self.part(FAILED) as target:
            stem = free_stem(target, name, token)
            _move(name, folder, stem, target)
            write_receipt(target, stem + SUFFIX, facts)

    def _leave(self, claimed: Claimed) -> None:
        """Remove the folder of a claim; what somebody else put there is found by the next sweep."""
        with self.part(UNDERPROCESS) as folder, suppress(OSError):
            os.rmdir(claimed.place, dir_fd=folder)


def kind_of(status: os.stat_result) -> str:
    """Return `file`, `folder` or `other`."""
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return "file" if stat.S_ISREG(status.st_mode) else "other"


def _walk(
    descriptor: int, above: tuple[str, ...], on_folder: Callable[[int], None]
) -> Generator[Found, None, None]:
    on_folder(descriptor)
    with os.scandir(descriptor) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in names:
        if not is_folder:
            yield Found(name, descriptor, above)
        elif len(above) == DEEPEST:
            yield Found(name, descriptor, above, FolderTooDeep)
        else:
            try:
                with opened(name, within=descriptor) as inner:
                    yield from _walk(inner, (*above, name), on_folder)
            except PermissionError:
                yield Found(name, descriptor, above, Unreadable)
            except (FileNotFoundError, NotADirectoryError):  # gone, or exchanged
                continue


def _files_of(claim: re.Match[str], folder: int) -> Iterator[Claimed]:
    with opened(claim[0], within=folder) as place:
        names = _names_in(place)
    label = (claim["label"] or "").replace(":", "/")
    for name in names:
        yield Claimed(name, claim["token"], label)
    with suppress(OSError):  # not empty: it could not be finished
        os.rmdir(claim[0], dir_fd=folder)


def _label_of(above: tuple[str, ...]) -> str:
    """Return the longest leading part of the folders that can be a label."""
    for count in range(len(above), 0, -1):
        label = "/".join(above[:count])
        with suppress(LabelMalformed):
            check_labels(folder=label, tags=())
            return label
    return ""


def _names_in(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _is_folder(name: str, folder: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _make_folder(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)


def _move(name: str, folder: int, to: str, target: int) -> None:
    os.rename(name, to, src_dir_fd=folder, dst_dir_fd=target)


def _make_durable(*folders: int) -> None:
    for folder in folders:
        os.fsync(folder)
