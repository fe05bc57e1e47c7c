"""Blobs: an envelope, then a FLOE payload under the blob's own data key."""

import struct
from collections.abc import Iterator
from typing import Self
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from config.ranges import RangeSource
from uploads.encryption import floe
from uploads.encryption.envelope import ENVELOPE_BYTES, BlobIds, make_envelope, open_envelope
from uploads.encryption.errors import Damaged
from uploads.encryption.keys import new_key
from uploads.encryption.sealing import seal, unseal

SEGMENT_BYTES = 256 * 1024
HEAD_BYTES = ENVELOPE_BYTES + floe.HEADER_BYTES  # before the first segment

_SEGMENT_COUNT = struct.Struct(">Q")
_TAIL_LABEL = b"strongroom tail 1"


class BlobWriter:
    """Encrypts one blob under a data key of its own. Gives ciphertext; stores nothing.

    An upload that may be interrupted takes a `checkpoint` from time to time and keeps it; the
    writer that `resume` returns goes on from there:

    1. store and sync what `update` returned, then keep `checkpoint()` with the upload;
    2. later, read the first `HEAD_BYTES` of the ciphertext and `resume` with the checkpoint;
    3. cut the ciphertext to `ciphertext_bytes` (fewer bytes there: the blob is lost), take
       plaintext again from offset `size`, and append what `update` and `finish` return.
    """

    def __init__(
        self,
        *,
        upload_key: bytes,
        upload_id: UUID,
        owner_id: UUID,
        blob_id: UUID,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        data_key = new_key()
        envelope = make_envelope(
            data_key, upload_key=upload_key, ids=BlobIds(upload_id, owner_id, blob_id)
        )
        message = floe.Message.create(
            data_key, associated_data=envelope, segment_bytes=segment_bytes
        )
        self._begin(envelope, data_key, message, floe.Encryptor(message))
        self._unsent, self._written = self._head, 0

    @classmethod
    def resume(
        cls,
        head: bytes,
        checkpoint: bytes,
        *,
        upload_key: bytes,
        upload_id: UUID,
        owner_id: UUID,
        blob_id: UUID,
    ) -> Self:
        """Return a writer that goes on after `checkpoint`.

        `head` is the first `HEAD_BYTES` of the ciphertext.

        Raises:
            Damaged: the two do not belong together, to these ids or to this key.
        """
        ids = BlobIds(upload_id, owner_id, blob_id)
        envelope, data_key, message = _open_head(head, upload_key=upload_key, ids=ids)
        count, tail = checkpoint[: _SEGMENT_COUNT.size], checkpoint[_SEGMENT_COUNT.size :]
        pending = unseal(tail, key=_tail_key(data_key), context=head + count)
        writer = cls.__new__(cls)
        (segments,) = _SEGMENT_COUNT.unpack(count)
        encryptor = floe.Encryptor(message, segments=segments, pending=pending)
        writer._begin(envelope, data_key, message, encryptor)
        return writer

    def _begin(
        self, envelope: bytes, data_key: bytes, message: floe.Message, encryptor: floe.Encryptor
    ) -> None:
        self._data_key = data_key
        self._encryptor = encryptor
        self._head = envelope + message.header
        self._unsent = b""
        self._written = HEAD_BYTES + encryptor.segments * message.segment_bytes

    @property
    def size(self) -> int:
        """Return the bytes of plaintext taken so far."""
        return self._encryptor.size

    @property
    def ciphertext_bytes(self) -> int:
        """Return the bytes of ciphertext returned so far."""
        return self._written

    @property
    def pending(self) -> bytes:
        """Return the plaintext that was taken and is in no ciphertext yet."""
        return self._encryptor.pending

    def update(self, data: floe.Buffer) -> bytes:
        """Take plaintext and return the ciphertext that is ready, the envelope first."""
        return b"".join(map(bytes, self.pieces_of(data)))

    def pieces_of(self, data: floe.Buffer) -> Iterator[bytes | memoryview]:
        """Take plaintext and yield the ciphertext that is ready, the envelope first.

        Each piece is to be used before the next one is asked for; all of `data` is taken only
        when the iterator has ended.
        """
        if self._unsent:
            yield self._unsent
            self._written, self._unsent = len(self._unsent), b""
        for segment in self._encryptor.segments_of(data):
            yield segment
            self._written += len(segment)

    def finish(self) -> bytes:
        """Return the rest of the ciphertext; without it the blob does not open."""
        ciphertext = self._unsent + self._encryptor.finish()
        self._unsent = b""
        self._written += len(ciphertext)
        return ciphertext

    def checkpoint(self) -> bytes:
        """Return what `resume` needs: the plaintext of no segment yet, sealed, and its place.

        At most `segment_bytes` + 4 bytes. The key is the blob's own for this purpose; no
        segment of the payload is sealed for it.
        """
        if self._unsent or self._encryptor.finished:
            raise ValueError("A checkpoint stands between the first update and the finish.")
        count = _SEGMENT_COUNT.pack(self._encryptor.segments)
        tail_key = _tail_key(self._data_key)
        return count + seal(self._encryptor.pending, key=tail_key, context=self._head + count)


class BlobReader:
    """A `RangeSource` over the plaintext of the blob in `source`.

    Envelope, payload header and last segment are checked when it is made, each other segment
    before a byte of it is returned. Reads decrypt the segments that they touch, and one
    decrypted segment is kept. Not for use by two threads at once.
    """

    def __init__(
        self,
        source: RangeSource,
        *,
        upload_key: bytes,
        upload_id: UUID,
        owner_id: UUID,
        blob_id: UUID,
    ) -> None:
        """Open the blob.

        Raises:
            Damaged: it is cut, changed, or not the blob of these ids and this key.
        """
        ids = BlobIds(upload_id, owner_id, blob_id)
        head = source.read_at(0, HEAD_BYTES)
        _, _, message = _open_head(head, upload_key=upload_key, ids=ids)
        self._plaintext = floe.Decryptor(source, message, start=HEAD_BYTES)

    @property
    def size(self) -> int:
        """Return the number of bytes of plaintext."""
        return self._plaintext.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end.

        Raises:
            Damaged: instead of any byte that is not as it was written.
        """
        return self._plaintext.read_at(offset, length)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end`, a segment's plaintext at most in one piece.

        Raises:
            Damaged: before the first piece that is not as it was written.
        """
        return self._plaintext.chunks(start, end)


def _open_head(
    head: bytes, *, upload_key: bytes, ids: BlobIds
) -> tuple[bytes, bytes, floe.Message]:
    """Return envelope, data key and message of the blob that begins with `head`."""
    if len(head) != HEAD_BYTES:
        raise Damaged("length")
    envelope, header = head[:ENVELOPE_BYTES], head[ENVELOPE_BYTES:]
    data_key = open_envelope(envelope, upload_key=upload_key, ids=ids)
    message = floe.Message.open(data_key, associated_data=envelope, header=header)
    return envelope, data_key, message


def _tail_key(data_key: bytes) -> bytes:
    # FLOE's own derivations begin with a zero byte: this one cannot meet them.
    return HKDFExpand(SHA384(), 32, _TAIL_LABEL).derive(data_key)
