"""The only opener of plaintext."""

from collections.abc import Iterator

from uploads.encryption import BlobReader
from uploads.keys import upload_key
from uploads.models import Blob, Upload
from uploads.storage import BlobMissing, Stored, store


class OpenBlob:
    """The plaintext of one blob, as a `RangeSource` that can be closed."""

    def __init__(self, stored: Stored, reader: BlobReader) -> None:
        self._stored = stored
        self._reader = reader

    @property
    def size(self) -> int:
        return self._reader.size

    def read_at(self, offset: int, length: int) -> bytes:
        return self._reader.read_at(offset, length)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the plaintext from `start` to `end`, in bounded pieces."""
        return self._reader.chunks(start, end)

    def close(self) -> None:
        """Give the file back."""
        self._stored.close()

    def __enter__(self) -> "OpenBlob":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_blob(blob: Blob) -> OpenBlob:
    """Open a blob of an upload.

    Raises:
        Damaged: before any wrong byte.
        BlobMissing: its bytes, or the upload it belongs to, are gone.
        UnknownKey: its key has been destroyed or is not at hand.
    """
    upload = blob.upload
    if upload is None:
        raise BlobMissing
    key = upload_key(upload.pk)
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
    return OpenBlob(stored, reader)


def open_content(upload: Upload) -> OpenBlob:
    """Open the file itself; raises as `open_blob`."""
    blob = Blob.objects.select_related("upload").filter(upload=upload, is_content=True).first()
    if blob is None:
        raise BlobMissing
    return open_blob(blob)
