"""An archive and the archives in it, member by member; nothing is ever written anywhere."""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from processing.steps.archive import formats, mail
from processing.steps.archive.entries import FILE, FOLDER, Entry, flags_of, printable
from processing.steps.archive.formats import Source
from processing.steps.archive.limits import (
    Budget,
    Damaged,
    ReaderMissing,
    Unsupported,
    refusal,
)
from processing.steps.archive.streams import BLOCK, Reader, Rest, read_fully
from processing.steps.contract import StepFailed
from uploads.media_types import HEAD_BYTES, detect

# Flags of a member whose content was not read to its right end.
UNREAD = frozenset({"damaged", "encrypted", "mismatch", "not_opened", "unsupported"})
# Flags of a member that is never handed out. The parts of a mail are: their names are no paths.
KEPT_BACK = UNREAD - {"not_opened"} | {"slip"}
KEPT_BACK_OF_MAIL = KEPT_BACK - {"slip"}


@dataclass(slots=True)
class Member:
    """One member at its place in the tree. `path` is data; `size` is what was read of it."""

    index: int
    place: int  # in its own archive, from 0
    parent: int | None
    depth: int
    path: str
    kind: str
    size: int = 0
    media_type: str = ""
    flags: list[str] = field(default_factory=list)


class Metered:
    """A member's content, counted; no byte of it is free."""

    def __init__(self, inner: Reader, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._inner.read(min(size, BLOCK))
        self.size += len(data)
        self._budget.take_bytes(len(data))
        return data


class Walk:
    """One pass over everything in an archive, to whatever depth, within a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.findings: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.depth = 0

    @property
    def is_complete(self) -> bool:
        """Tell whether every file was read to its right end, and into wherever it is an archive."""
        return not UNREAD & self.findings.keys()

    def members(self, kind: str, source: Source) -> Iterator[Member]:
        """Yield every member after it was read, with its own members before it.

        Raises:
            Damaged, Unsupported: of the outermost archive.
            StepFailed: a limit.
        """
        yield from self._members(kind, source, parent=None, depth=1)

    def _members(
        self, kind: str, source: Source, *, parent: int | None, depth: int
    ) -> Iterator[Member]:
        self._budget.enter(depth)
        self.depth = max(self.depth, depth)
        names: set[str] = set()
        for place, entry in enumerate(formats.entries(kind, source, self._buffered)):
            index = self._budget.take_member()
            path = printable(entry.path)
            member = Member(index, place, parent, depth, path, entry.kind)
            member.flags = flags_of(entry.path)
            if entry.kind not in (FILE, FOLDER):
                member.flags.append(entry.kind)
            if path in names and entry.kind != FOLDER:
                member.flags.append("duplicate")
            names.add(path)
            if entry.open is not None:
                yield from self._read(member, entry)
            member.flags += entry.flags
            self.findings.update(set(member.flags))
            self.kinds[entry.kind] += 1
            yield member

    def _read(self, member: Member, entry: Entry) -> Iterator[Member]:
        """Read a member to its end, and yield what is in it if it is an archive."""
        assert entry.open is not None  # noqa: S101 - asked by the caller
        metered = None
        try:
            metered = Metered(entry.open(), self._budget)
            head = read_fully(metered, HEAD_BYTES)
            member.media_type = detect(head) if head else ""
            is_mail = entry.declared == mail.RFC822  # which is not told by its first bytes
            inner = formats.format_of(head, mail.RFC822 if is_mail else member.media_type)
            content = Rest(head, metered)
            if inner is not None:
                yield from self._inside(member, inner, content, entry)
            while content.read(BLOCK):
                pass
        except Damaged:
            member.flags.append("damaged")
        except Unsupported:
            member.flags.append("unsupported")
        if metered is not None:
            member.size = metered.size

    def _inside(self, member: Member, kind: str, content: Reader, entry: Entry) -> Iterator[Member]:
        source = Source(content)
        if entry.window is not None:
            source = Source(content, entry.window, entry.window.size)
        try:
            yield from self._members(kind, source, parent=member.index, depth=member.depth + 1)
        except (Damaged, Unsupported):
            member.flags.append("not_opened")

    def _buffered(self, reader: Reader) -> Source:
        """Return an inner archive in memory, if there is room for it.

        Raises:
            Unsupported: there is none.
        """
        room = self._budget.buffer_bytes
        data = read_fully(reader, room + 1)
        if len(data) > room:
            raise Unsupported
        self._budget.buffer_bytes -= len(data)
        return Source(reader, io.BytesIO(data), len(data))


def open_archive(content: BinaryIO, size: int, media_type: str) -> tuple[str, Source]:
    """Return the format of a file and the source of its members.

    Raises:
        StepFailed: `archive_unsupported`
    """
    head = read_fully(content, HEAD_BYTES)
    content.seek(0)
    kind = formats.format_of(head, media_type.partition(";")[0].strip().lower())
    if kind is None:
        kind = formats.format_of(head, detect(head))
    if kind is None:
        raise refusal("archive_unsupported")
    return kind, Source(content, content, size)


def failure_of(error: Damaged | Unsupported) -> StepFailed:
    """Return how a step ends over an archive that cannot be read at all."""
    if isinstance(error, ReaderMissing):
        return refusal("archive_reader_missing")
    return refusal("archive_damaged" if isinstance(error, Damaged) else "archive_unsupported")
