"""The standing cast of the encryption tests: one owner, one upload, one blob, and its keys."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from tests.source import BytesSource
from uploads.encryption import HEAD_BYTES, BlobReader, BlobWriter

UPLOAD_ID, OWNER_ID, BLOB_ID = UUID(int=0x11), UUID(int=0x22), UUID(int=0x33)
SEGMENT = 64  # bytes: small, so that a blob of a few hundred bytes has many edges
PLAIN = SEGMENT - 32


@dataclass(frozen=True)
class Blob:
    """Under which ids and key a blob is written, or is asked for."""

    upload_key: bytes = bytes(range(32))
    upload_id: UUID = UPLOAD_ID
    owner_id: UUID = OWNER_ID
    blob_id: UUID = BLOB_ID
    segment_bytes: int = field(default=SEGMENT, kw_only=True)

    def names(self) -> dict[str, UUID]:
        return {
            "upload_id": self.upload_id,
            "owner_id": self.owner_id,
            "blob_id": self.blob_id,
        }

    def writer(self) -> BlobWriter:
        return BlobWriter(
            upload_key=self.upload_key, segment_bytes=self.segment_bytes, **self.names()
        )

    def resume(self, head: bytes, checkpoint: bytes) -> BlobWriter:
        return BlobWriter.resume(head, checkpoint, upload_key=self.upload_key, **self.names())

    def write(self, plaintext: bytes) -> bytes:
        writer = self.writer()
        return writer.update(plaintext) + writer.finish()

    def reader(self, ciphertext: bytes) -> BlobReader:
        return BlobReader(BytesSource(ciphertext), upload_key=self.upload_key, **self.names())

    def read(self, ciphertext: bytes) -> bytes:
        return b"".join(self.reader(ciphertext).chunks())


BLOB = Blob()
OTHERS = {
    "upload_key": replace(BLOB, upload_key=bytes(32)),
    "upload_id": replace(BLOB, upload_id=UUID(int=0x12)),
    "owner_id": replace(BLOB, owner_id=UUID(int=0x23)),
    "blob_id": replace(BLOB, blob_id=UUID(int=0x34)),
}


def segments_of(ciphertext: bytes) -> list[bytes]:
    body = ciphertext[HEAD_BYTES:]
    return [body[start : start + SEGMENT] for start in range(0, len(body), SEGMENT)]


def plaintext_of(size: int) -> bytes:
    """Return bytes without a period of a segment, so that exchanged segments show."""
    return bytes((7 * place + place // 251) % 256 for place in range(size))
