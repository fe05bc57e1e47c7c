"""The only opener of plaintext."""

import logging
from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import UUID

from config.ranges import RangeSource
from uploads import damage
from uploads.encryption import BlobReader, Damaged
from uploads.keys import upload_key
from uploads.models import Blob, Upload
from uploads.storage import BlobMissing, Stored, store

logger = logging.getLogger(__name__)


class OpenBlob:
    """The plaintext of one blob, as a `RangeSource` that can be closed."""

    def __init__(self, blob: Blob, stored: Stored, reader: BlobReader) -> None:
        self._blob = blob
        self._stored = stored
        self._reader = reader

    @property
    def size(self) -> int:
        return self._reader.size

    def read_at(self, offset: int, length: int) -> bytes:
        with _Noticed(self._blob):
            return self._reader.read_at(offset, length)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the plaintext from `start` to `end`, in bounded pieces."""
        with _Noticed(self._blob):
            yield from self._reader.chunks(start, end)

    def close(self) -> None:
        """Give the file back."""
        self._stored.close()

    def __enter__(self) -> "OpenBlob":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_blob(blob: Blob, *, key: bytes | None = None) -> OpenBlob:
    """Open a blob of an upload; `key` is the upload's, for whoever has it already.

    Raises:
        Damaged: before any wrong byte.
        BlobMissing: its bytes, or the upload it belongs to, are gone.
        UnknownKey: its key has been destroyed or is not at hand.
    """
    upload = blob.upload
    if upload is None:
        raise BlobMissing
    with _Noticed(blob):
        key = key or upload_key(upload.pk)
        stored = store().open(blob.pk)
        try:
            reader = BlobReader(
                stored,
                upload_key=key,
                upload_id=upload.pk,
                owner_id=upload.owner_id,
                blob_id=blob.pk,
            )
        except BaseException:
            stored.close()
            raise
    return OpenBlob(blob, stored, reader)


class ClosableSource(RangeSource, Protocol):
    """A `RangeSource` that holds something open."""

    def close(self) -> None: ...


class Unrecorded:
    """The plaintext of a blob that has no row yet."""

    def __init__(self, stored: Stored, reader: BlobReader) -> None:
        self._stored = stored
        self._reader = reader
        self.size = reader.size

    def read_at(self, offset: int, length: int) -> bytes:
        return self._reader.read_at(offset, length)

    def close(self) -> None:
        self._stored.close()


class AsWritten:
    """A file just written: its head from memory, the rest from its blob, opened when asked for."""

    def __init__(self, head: bytes, size: int, open_blob: Callable[[], ClosableSource]) -> None:
        self._head = head
        self.size = size
        self._open_blob = open_blob
        self._blob: ClosableSource | None = None

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if end <= len(self._head):
            return self._head[offset:end]
        if self._blob is None:
            self._blob = self._open_blob()
        return self._blob.read_at(offset, end - offset)

    def __enter__(self) -> "AsWritten":
        return self

    def __exit__(self, *_: object) -> None:
        if self._blob is not None:
            self._blob.close()


def open_unrecorded(
    stored: Stored, *, upload_key: bytes, upload_id: UUID, owner_id: UUID, blob_id: UUID
) -> Unrecorded:
    """Open a durable blob that has no row yet; raises as `open_blob`."""
    try:
        reader = BlobReader(
            stored, upload_key=upload_key, upload_id=upload_id, owner_id=owner_id, blob_id=blob_id
        )
    except BaseException:
        stored.close()
        raise
    return Unrecorded(stored, reader)


def read_unrecorded(
    source: RangeSource, *, upload_key: bytes, upload_id: UUID, owner_id: UUID, blob_id: UUID
) -> Iterator[bytes]:
    """Yield the plaintext of a whole blob that has no row yet; raises as `open_blob`."""
    reader = BlobReader(
        source, upload_key=upload_key, upload_id=upload_id, owner_id=owner_id, blob_id=blob_id
    )
    return reader.chunks()


def open_content(upload: Upload) -> OpenBlob:
    """Open the file itself; raises as `open_blob`."""
    blob = Blob.objects.select_related("upload").filter(upload=upload, is_content=True).first()
    if blob is None:
        raise BlobMissing
    return open_blob(blob)


class _Noticed:
    """Logs and counts what is wrong with stored bytes, whoever meets it."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, (Damaged, BlobMissing)):
            return
        blob = self._blob
        part = error.part if isinstance(error, Damaged) else "all"
        extra = {"code": error.code, "blob": str(blob.pk), "upload": str(blob.upload_id)}
        logger.error("stored bytes at fault", extra={**extra, "part": part})
        if blob.upload_id is not None:
            damage.note(blob, blob.upload_id, part)
