"""Several backends as one, for as long as blobs are on the way from one to another."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from uploads.storage.errors import BlobMissing
from uploads.storage.protocol import Sink, Store, Stored


class JoinedStore:
    """New blobs go to the first backend; a blob is read wherever it lies."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores

    def create(self, blob_id: UUID) -> Sink:
        return self._stores[0].create(blob_id)

    def open(self, blob_id: UUID) -> Stored:
        return FollowedBlob(self, blob_id)

    def find(self, blob_id: UUID) -> Stored:
        """Open a blob where it lies now.

        Raises:
            BlobMissing
        """
        # A blob that moves is, at any moment, in one place or in both, but may come to a place
        # that was looked at already and leave the next: so all are looked at twice.
        for store in (*self._stores, *self._stores):
            try:
                return store.open(blob_id)
            except BlobMissing:
                continue
        raise BlobMissing

    def remove(self, blob_id: UUID) -> None:
        for store in self._stores:
            store.remove(blob_id)

    def ids(self, *, older_than_s: float = 0) -> Iterator[UUID]:
        """Yield as every backend does; what is in two of them comes twice."""
        for store in self._stores:
            yield from store.ids(older_than_s=older_than_s)

    def sweep_partials(self, *, older_than_s: float) -> int:
        return sum(store.sweep_partials(older_than_s=older_than_s) for store in self._stores)


class FollowedBlob:
    """A blob that may be moved while it is read. Its bytes are the same in every place."""

    def __init__(self, joined: JoinedStore, blob_id: UUID) -> None:
        self._joined = joined
        self._blob_id = blob_id
        self._stored = joined.find(blob_id)

    @property
    def size(self) -> int:
        return self._stored.size

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            return self._stored.read_at(offset, length)
        except BlobMissing:
            self._stored.close()
            self._stored = self._joined.find(self._blob_id)
            return self._stored.read_at(offset, length)

    def close(self) -> None:
        self._stored.close()
