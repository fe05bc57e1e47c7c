"""The one way in: every door ends here.

Order of effects: bytes are counted, judged and encrypted while they arrive; the blob is durable;
then one transaction makes the upload row, its key, its blob row and, through the signal, the run
and its queue entry. A crash before the commit leaves an orphan blob, which `manage.py sweep`
removes; never a row without content. Nothing is acknowledged before the commit.
"""

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from config.accounts.models import User
from config.ids import uuid7
from uploads import quota, signals
from uploads.encryption import BlobWriter, new_key
from uploads.errors import DigestMismatch, EmptyFile, QuotaExceeded, Truncated
from uploads.keys import add_upload_key
from uploads.media_types import HEAD_BYTES, detect
from uploads.models import Blob, Door, Upload
from uploads.names import seal_name
from uploads.policy import policy
from uploads.storage import Sink, store
from uploads.validation import Policy, check_media_type, check_name, check_size

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024


class Readable(Protocol):
    """What `receive_upload` reads from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Offer:
    """What is known of a file before its first byte.

    `size` is what the sender declares, in bytes; the bytes themselves are counted. A second file
    with the same `idempotency` key is the same upload.
    """

    owner: User
    name: str
    declared_type: str
    door: Door
    pipeline: str | None = None
    size: int | None = None
    idempotency: str = ""


def receive_upload(offer: Offer, content: Readable) -> Upload:
    """Accept `content` and return its record.

    Raises:
        Refusal: nothing was stored.
    """
    arrival = open_upload(offer)
    try:
        while chunk := content.read(CHUNK_BYTES):
            arrival.write(chunk)
        return arrival.commit()
    except BaseException:
        arrival.abort()
        raise


def open_upload(offer: Offer) -> "Arrival":
    """Judge what is known of a file before its first byte, and be ready for its bytes.

    Raises:
        Refusal: nothing was stored.
    """
    rules = policy()
    check_name(offer.name)
    left_bytes = quota.usage(offer.owner).left_bytes
    if offer.size is not None:
        check_size(offer.size, rules)
    if (offer.size is not None and offer.size > left_bytes) or not left_bytes:
        raise QuotaExceeded
    signals.upload_announced.send(Arrival, owner=offer.owner, pipeline=offer.pipeline)
    return Arrival(offer, rules, left_bytes)


@dataclass
class Arrival:
    """A file while it arrives. Ends in exactly one `commit` or `abort`.

    Not for two threads at once.
    """

    offer: Offer
    rules: Policy
    left_bytes: int
    began_at: datetime = field(default_factory=timezone.now)
    size: int = 0

    def __post_init__(self) -> None:
        self._upload_id = uuid7()
        self._blob_id = uuid4()
        self._key = new_key()
        self._digest = hashlib.sha256()
        self._head = bytearray()
        self._media_type: str | None = None
        self._sink: Sink | None = None
        self._writer = BlobWriter(
            upload_key=self._key,
            upload_id=self._upload_id,
            owner_id=self.offer.owner.pk,
            blob_id=self._blob_id,
        )

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refusal: at the first byte too many, or as soon as the type is known and denied.
        """
        self.size += len(data)
        check_size(self.size, self.rules)
        if self.size > self.left_bytes:
            raise QuotaExceeded
        if self._media_type is not None:
            self._store(data)
            return
        self._head += data
        if len(self._head) >= HEAD_BYTES:
            self._judge_head()

    def commit(self, *, pipeline: str | None = None, sha256: bytes | None = None) -> Upload:
        """Make the file durable and return its record.

        `pipeline` is for doors that learn it after the file; `sha256` is the sender's digest.

        Raises:
            Refusal: nothing is stored, once `abort` has been called.
        """
        if self.size == 0:
            raise EmptyFile
        if self.offer.size is not None and self.size != self.offer.size:
            raise Truncated
        if sha256 is not None and sha256 != self._digest_of_all():
            raise DigestMismatch
        media_type = self._judge_head() if self._media_type is None else self._media_type
        sink = self._open_sink()
        sink.write(self._writer.finish())
        sink.commit()
        try:
            return self._record(media_type, pipeline or self.offer.pipeline)
        except IntegrityError:
            self._remove_blob()
            first = _first_with(self.offer)
            if first is None:
                raise
            return first
        except BaseException:
            self._remove_blob()
            raise

    def abort(self) -> None:
        """Leave nothing behind. Harmless after a commit."""
        if self._sink is not None:
            self._sink.abort()

    def _judge_head(self) -> str:
        media_type = detect(bytes(self._head))
        check_media_type(media_type, self.rules)
        self._media_type = media_type
        head, self._head = bytes(self._head), bytearray()
        self._store(head)
        return media_type

    def _store(self, data: bytes) -> None:
        self._digest.update(data)
        if ciphertext := self._writer.update(data):
            self._open_sink().write(ciphertext)

    def _open_sink(self) -> Sink:
        if self._sink is None:
            self._sink = store().create(self._blob_id)
        return self._sink

    def _digest_of_all(self) -> bytes:
        digest = self._digest.copy()
        digest.update(self._head)
        return digest.digest()

    @transaction.atomic
    def _record(self, media_type: str, pipeline: str | None) -> Upload:
        owner = self.offer.owner
        quota.take(owner, self.size)
        upload = Upload.objects.create(
            pk=self._upload_id,
            owner=owner,
            sealed_name=seal_name(self.offer.name, key=self._key, upload_id=self._upload_id),
            size=self.size,
            sha256=self._digest.hexdigest(),
            media_type=media_type,
            declared_type=self.offer.declared_type[:127],
            door=self.offer.door,
            idempotency=self.offer.idempotency,
            began_at=self.began_at,
            created_at=timezone.now(),
        )
        add_upload_key(upload.pk, owner.pk, self._key)
        Blob.objects.create(pk=self._blob_id, upload=upload, is_content=True, size=self.size)
        signals.upload_stored.send(Arrival, upload=upload, pipeline=pipeline)
        logger.info("upload stored", extra={"upload": str(upload.pk), "bytes": upload.size})
        return upload

    def _remove_blob(self) -> None:
        """Remove the bytes of an upload that got no row; what fails here, the sweep finds."""
        store().remove(self._blob_id)


def _first_with(offer: Offer) -> Upload | None:
    if not offer.idempotency:
        return None
    return Upload.objects.filter(owner=offer.owner, idempotency=offer.idempotency).first()
