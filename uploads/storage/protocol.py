"""What every storage backend can do. To write another one, `docs/storage.md` says what holds."""

from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

from config.ranges import RangeSource

PIECE_BYTES = 1024 * 1024


class Sink(Protocol):
    """A blob that is being written."""

    def write(self, data: bytes | memoryview) -> None: ...
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
    """A storage backend. Every method may raise `StorageFailed`."""

    def create(self, blob_id: UUID) -> Sink:
        """Begin a blob; a whole one of the same id is replaced by the commit.

        Raises:
            StorageFull, also from the sink.
        """
        ...

    def open(self, blob_id: UUID) -> Stored:
        """Open a blob.

        Raises:
            BlobMissing, also while it is read.
        """
        ...

    def remove(self, blob_id: UUID) -> None:
        """Remove a blob, if it is there."""
        ...

    def ids(self, *, older_than_s: float = 0) -> Iterator[UUID]:
        """Yield the id of every whole blob that was stored so many seconds ago or earlier."""
        ...

    def sweep_partials(self, *, older_than_s: float) -> int:
        """Remove interrupted writes; return how many."""
        ...


def pieces_of(source: RangeSource) -> Iterator[bytes]:
    """Yield all bytes of `source`, in pieces of PIECE_BYTES, the last one shorter."""
    for offset in range(0, source.size, PIECE_BYTES):
        yield source.read_at(offset, PIECE_BYTES)
