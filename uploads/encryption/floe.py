"""FLOE with AES-256-GCM and HKDF-Expand over SHA-384: bytes of any length, in segments.

Source: https://c2sp.org/FLOE, whose names stand in quotes below. `segment_bytes` is its
ENC_SEG_LEN: the length of a whole encrypted segment, `OVERHEAD` longer than its plaintext.
"""

import hmac
import os
import struct
from collections.abc import Iterator
from typing import Self, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from config.ranges import RangeSource
from uploads.encryption.errors import Damaged

Buffer: TypeAlias = bytes | bytearray | memoryview

HEADER_BYTES = 74
OVERHEAD = 32  # of a segment: length 4, "AEAD_IV_LEN" 12, "AEAD_TAG_LEN" 16
MAX_SEGMENTS = 2**40  # "AEAD_MAX_SEGMENTS"
MAX_SEGMENT_BYTES = 16 * 1024 * 1024  # ours: whoever reads a blob holds two segments in memory
ROTATION_MASK = 20  # "AEAD_ROTATION_MASK": 2^20 segments share a key

_PARAMETERS = struct.Struct(">BBII")  # "AEAD_ID", "KDF_ID", "ENC_SEG_LEN", "FLOE_IV_LEN"
_IV_BYTES = 32  # "FLOE_IV_LEN"
_TAG_BYTES = 32
_MESSAGE_KEY_BYTES = 48  # "KDF_KEY_LEN"
_SEGMENT_HEAD = struct.Struct(">I12s")
_POSITION = struct.Struct(">QB")
_NOT_LAST = 0xFFFFFFFF


class Message:
    """The keys of one ciphertext; seals and opens its segments one by one, in any order.

    It does not know which segments exist: `Encryptor` and `Decryptor` do. Every sealing takes
    a fresh nonce, so that the segment of one position may be sealed again.
    """

    def __init__(
        self, key: bytes, *, associated_data: bytes, iv: bytes, segment_bytes: int, rotation: int
    ) -> None:
        """Derive the keys; `create` and `open` are the ways to here."""
        if len(key) != 32:
            raise ValueError("A key has 32 bytes.")
        self.segment_bytes = segment_bytes
        self.plaintext_bytes = segment_bytes - OVERHEAD
        self._prefix = _PARAMETERS.pack(0, 0, segment_bytes, _IV_BYTES) + iv
        self._associated_data = associated_data
        self._rotation = rotation
        self.header = self._prefix + self._derive(key, b"HEADER_TAG:", _TAG_BYTES)
        self._message_key = self._derive(key, b"MESSAGE_KEY:", _MESSAGE_KEY_BYTES)
        self._cipher_number = -1
        self._cipher: AESGCM

    @classmethod
    def create(
        cls,
        key: bytes,
        *,
        associated_data: bytes,
        segment_bytes: int,
        rotation: int = ROTATION_MASK,
    ) -> Self:
        """Return a new message under `key` (32 bytes); its `header` precedes its segments."""
        if not OVERHEAD < segment_bytes <= MAX_SEGMENT_BYTES:
            raise ValueError("A segment has more than 32 bytes, and at most 16 MiB.")
        return cls(
            key,
            associated_data=associated_data,
            iv=os.urandom(_IV_BYTES),
            segment_bytes=segment_bytes,
            rotation=rotation,
        )

    @classmethod
    def open(
        cls, key: bytes, *, associated_data: bytes, header: bytes, rotation: int = ROTATION_MASK
    ) -> Self:
        """Return the message that `header` begins.

        Raises:
            Damaged: another key or associated data, or a header that was changed.
        """
        if len(header) != HEADER_BYTES:
            raise Damaged("header")
        _, _, segment_bytes, _ = _PARAMETERS.unpack_from(header)
        if not OVERHEAD < segment_bytes <= MAX_SEGMENT_BYTES:
            raise Damaged("header")
        message = cls(
            key,
            associated_data=associated_data,
            iv=header[_PARAMETERS.size : -_TAG_BYTES],
            segment_bytes=segment_bytes,
            rotation=rotation,
        )
        # The header made anew holds the only parameters there are, and the tag.
        if not hmac.compare_digest(message.header, header):
            raise Damaged("header")
        return message

    def seal_into(
        self, segment: bytearray | memoryview, plaintext: Buffer, *, position: int, last: bool
    ) -> None:
        """Fill `segment`, which is `OVERHEAD` longer than `plaintext`."""
        if position >= MAX_SEGMENTS:
            raise ValueError("A FLOE message has at most 2^40 segments.")
        nonce = os.urandom(12)
        _SEGMENT_HEAD.pack_into(segment, 0, len(segment) if last else _NOT_LAST, nonce)
        sealed = memoryview(segment)[_SEGMENT_HEAD.size :]
        cipher = self._cipher_at(position)
        cipher.encrypt_into(nonce, plaintext, _POSITION.pack(position, last), sealed)

    def unseal(self, segment: bytes, *, position: int, last: bool) -> bytes:
        """Return the plaintext of a segment.

        Raises:
            Damaged: it is not what was sealed at `position`, or not `last` as said.
        """
        if len(segment) < OVERHEAD:
            raise Damaged("segment")
        mark, nonce = _SEGMENT_HEAD.unpack_from(segment)
        if mark != (len(segment) if last else _NOT_LAST):
            raise Damaged("segment")
        sealed = memoryview(segment)[_SEGMENT_HEAD.size :]
        try:
            return self._cipher_at(position).decrypt(nonce, sealed, _POSITION.pack(position, last))
        except InvalidTag:
            raise Damaged("segment") from None

    def _cipher_at(self, position: int) -> AESGCM:
        number = position >> self._rotation
        if number != self._cipher_number:
            purpose = b"DEK:" + struct.pack(">Q", number << self._rotation)
            self._cipher = AESGCM(self._derive(self._message_key, purpose, 32))
            self._cipher_number = number
        return self._cipher

    def _derive(self, key: bytes, purpose: bytes, length: int) -> bytes:
        info = self._prefix + purpose + self._associated_data
        return HKDFExpand(SHA384(), length, info).derive(key)


class Encryptor:
    """Cuts a stream of plaintext into segments. Writes nothing: it returns ciphertext.

    A full segment waits until more comes, because the last one is sealed differently; so an
    empty last segment is that of an empty plaintext only.
    """

    def __init__(self, message: Message, *, segments: int = 0, pending: bytes = b"") -> None:
        """Begin, or go on after `segments` sealed ones with `pending` plaintext."""
        self._message = message
        # Both buffers grow as needed and are then written over: memory that is given back
        # and taken anew for each piece costs more time, in page faults, than the encryption.
        self._waiting = bytearray(pending)
        self._sealed = bytearray()
        self._filled = len(pending)
        self.segments = segments
        self.size = segments * message.plaintext_bytes + len(pending)
        self.finished = False

    @property
    def pending(self) -> bytes:
        """Return the plaintext that was taken and is in no segment yet."""
        return bytes(self._waiting[: self._filled])

    def update(self, data: Buffer) -> bytes:
        """Take plaintext and return the segments that are ready, perhaps none."""
        return b"".join(map(bytes, self.segments_of(data)))

    def segments_of(self, data: Buffer) -> Iterator[memoryview]:
        """Take plaintext and yield each segment that is ready, to be used before the next one.

        All of `data` is taken only when the iterator has ended.
        """
        self._refuse_if_finished()
        rest = memoryview(data).cast("B")
        while self._filled + len(rest) > self._message.plaintext_bytes:
            room = self._message.plaintext_bytes - self._filled
            plaintext: Buffer = rest[:room]
            if self._filled:
                self._wait(rest[:room])
                plaintext = self._waiting
            self._filled = 0
            self.size += room
            rest = rest[room:]
            if not self._sealed:
                self._sealed = bytearray(self._message.segment_bytes)
            self._seal_into(self._sealed, plaintext, last=False)
            yield memoryview(self._sealed)
        self._wait(rest)
        self.size += len(rest)

    def finish(self) -> bytes:
        """Return the last segment, which may be of no plaintext; nothing may follow."""
        self._refuse_if_finished()
        self.finished = True
        segment = bytearray(OVERHEAD + self._filled)
        self._seal_into(segment, memoryview(self._waiting)[: self._filled], last=True)
        return bytes(segment)

    def _wait(self, data: memoryview) -> None:
        over = min(len(data), len(self._waiting) - self._filled)
        with memoryview(self._waiting) as waiting:
            waiting[self._filled : self._filled + over] = data[:over]
        self._waiting += data[over:]
        self._filled += len(data)

    def _seal_into(self, segment: bytearray | memoryview, plaintext: Buffer, *, last: bool) -> None:
        self._message.seal_into(segment, plaintext, position=self.segments, last=last)
        self.segments += 1

    def _refuse_if_finished(self) -> None:
        if self.finished:
            raise ValueError("The message is finished.")


class Decryptor:
    """A `RangeSource` over the plaintext of a message whose segments begin at `start`.

    The last segment is checked at once: it alone tells where the message ends. One decrypted
    segment is kept, so that small reads in order decrypt each segment once.
    """

    def __init__(self, source: RangeSource, message: Message, *, start: int) -> None:
        """Find the end of the message.

        Raises:
            Damaged: there is no end that belongs to this message.
        """
        self._source = source
        self._message = message
        self._start = start
        sealed_bytes = source.size - start
        self._last = max(0, -(-sealed_bytes // message.segment_bytes) - 1)
        self._last_bytes = sealed_bytes - self._last * message.segment_bytes
        if self._last_bytes < OVERHEAD or self._last >= MAX_SEGMENTS:
            raise Damaged("length")
        self.size = sealed_bytes - (self._last + 1) * OVERHEAD
        self._kept = self._last, self._read(self._last)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end.

        Raises:
            Damaged: a segment that holds some of them does not authenticate.
        """
        return b"".join(self.chunks(offset, offset + length))

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end` in pieces of a segment's plaintext at most.

        Raises:
            Damaged: before the first piece that does not authenticate.
        """
        if start < 0:
            raise ValueError("An offset is not negative.")
        end = self.size if end is None else min(end, self.size)
        while start < end:
            position, skip = divmod(start, self._message.plaintext_bytes)
            piece = self._segment(position)[skip : skip + end - start]
            yield piece
            start += len(piece)

    def _segment(self, position: int) -> bytes:
        if self._kept[0] != position:
            self._kept = position, self._read(position)
        return self._kept[1]

    def _read(self, position: int) -> bytes:
        last = position == self._last
        length = self._last_bytes if last else self._message.segment_bytes
        segment = self._source.read_at(self._start + position * self._message.segment_bytes, length)
        if len(segment) != length:
            raise Damaged("length")
        return self._message.unseal(segment, position=position, last=last)
