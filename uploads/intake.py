"""The one way in: every door ends here.

Order of effects: bytes are counted, judged and encrypted while they arrive; the blob is durable;
then one transaction makes the upload row, its key, its blob row and, through the signal, the run
and its queue entry. A crash before the commit leaves an orphan blob, which `manage.py gc`
removes; never a row without content. Nothing is acknowledged before the commit.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from config.accounts.models import User
from config.ids import uuid7
from config.ranges import RangeSource
from config.rows import insert
from uploads import quota, search, signals
from uploads.encryption import HEAD_BYTES as ENVELOPE_BYTES
from uploads.encryption import BlobWriter, new_key
from uploads.errors import DigestMismatch, EmptyFile, QuotaExceeded, Truncated
from uploads.hashing import Hash
from uploads.keys import add_upload_key, owner_key
from uploads.labels import check_labels, pack_tags
from uploads.media_types import HEAD_BYTES, detect, inspect, possible_types, told
from uploads.models import Blob, Door, Upload, Verdict
from uploads.names import seal_name
from uploads.policy import policy_for
from uploads.reading import AsWritten, ClosableSource, open_unrecorded, read_unrecorded
from uploads.room import LOOK_EVERY_BYTES, check_room
from uploads.storage import Sink, store
from uploads.validation import (
    Action,
    Policy,
    check_findings,
    check_media_types,
    check_name,
    check_size,
)
from uploads.verdicts import INTAKE, first_verdict, keep_findings

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024


class Readable(Protocol):
    """What `receive_upload` reads from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Offer:
    """What is known of a file before its first byte.

    `size` is what the sender declares, in bytes; the bytes themselves are counted. A second file
    with the same `idempotency` key is the same upload. `parent` is the file that it was in.
    `policy` is of the place where it lay, in place of its owner's.
    `remember` is called in the transaction that makes the upload.
    """

    owner: User
    name: str
    declared_type: str
    door: Door
    pipeline: str | None = None
    size: int | None = None
    idempotency: str = ""
    folder: str = ""
    tags: tuple[str, ...] = ()
    parent: Upload | None = None
    policy: Policy | None = None
    remember: "Callable[[Upload, Offer], None] | None" = None


@dataclass(frozen=True)
class Identity:
    """Under which ids and key a file is stored. Chosen before its first byte."""

    upload_id: UUID = field(default_factory=uuid7)
    blob_id: UUID = field(default_factory=uuid4)
    key: bytes = field(default_factory=new_key, repr=False)
    began_at: datetime = field(default_factory=timezone.now)


@dataclass(frozen=True)
class Halt:
    """Where an arrival stands, for one that goes on later. Holds no plaintext.

    `media_type` is empty until it is known.
    """

    size: int
    media_type: str
    checkpoint: bytes


class RereadableSink(Sink, Protocol):
    """A blob that is being written and can be read meanwhile."""

    def source(self) -> RangeSource: ...


@dataclass(frozen=True)
class Reserved:
    """What was prepared for an arrival that may be interrupted.

    `enter` is called in the transaction that makes the upload, in place of counting it and
    keeping its key. `halt` is where an earlier arrival stopped, and `digest` the SHA-256 state
    of what came until then; where that is lost, the commit reads the blob once more.
    """

    identity: Identity
    sink: RereadableSink
    enter: Callable[[Upload], None]
    halt: Halt | None = None
    digest: "hashlib._Hash | None" = None


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


def judge(offer: Offer) -> Policy:
    """Refuse what can be refused before the first byte; return the rules for the rest.

    Raises:
        Refusal: nothing was stored.
    """
    rules = offer.policy or policy_for(offer.owner)
    check_name(offer.name)
    check_labels(folder=offer.folder, tags=offer.tags)
    if offer.size is not None:
        check_size(offer.size, rules)
    check_room(offer.size or 0)
    signals.upload_announced.send(Arrival, owner=offer.owner, pipeline=offer.pipeline)
    return rules


def open_upload(offer: Offer) -> "Arrival":
    """Judge what is known of a file before its first byte, and be ready for its bytes.

    Raises:
        Refusal: nothing was stored.
    """
    rules = judge(offer)
    left_bytes = quota.usage(offer.owner, rules).left_bytes
    if (offer.size is not None and offer.size > left_bytes) or not left_bytes:
        raise QuotaExceeded
    return Arrival(offer, rules, left_bytes)


class Arrival:
    """A file while it arrives. Ends in exactly one `commit` or `abort`.

    One with `reserved` may `halt`, and another one goes on from there. Not for two threads at
    once.
    """

    def __init__(
        self, offer: Offer, rules: Policy, left_bytes: int, reserved: Reserved | None = None
    ) -> None:
        self.offer = offer
        self.size = 0
        self._hash: Hash | None = Hash()
        self._look_at = LOOK_EVERY_BYTES
        self._rules = rules
        self._left_bytes = left_bytes
        self._reserved = reserved
        self._identity = reserved.identity if reserved else Identity()
        self._sink: Sink | None = reserved.sink if reserved else None
        self._head = b""  # empty as well where an earlier arrival had it
        self._media_type = ""
        self._actions: dict[str, Action] = {}
        if reserved is not None and reserved.halt is not None:
            self._writer = self._go_on(reserved, reserved.halt)
        else:
            self._writer = BlobWriter(**self._keys())

    @property
    def stored_bytes(self) -> int:
        """Return how long the blob is so far."""
        return self._writer.ciphertext_bytes

    @property
    def digest(self) -> "hashlib._Hash | None":
        """Return the SHA-256 state after what was written; None where an earlier one was lost."""
        return None if self._hash is None else self._hash.state

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes, which must not be changed before the next call has returned.

        Raises:
            Refusal: at the first byte too many, or as soon as the type is known and denied.
        """
        check_size(self.size + len(data), self._rules)
        if self.size + len(data) > self._left_bytes:
            raise QuotaExceeded
        self.size += len(data)
        if not self._media_type:
            self._head += bytes(data[: HEAD_BYTES - len(self._head)])
            if len(self._head) == HEAD_BYTES:
                self._judge_head()
        if self.size >= self._look_at:
            check_room(max(LOOK_EVERY_BYTES, len(data)))
            self._look_at = self.size + LOOK_EVERY_BYTES
        if self._hash is not None:
            self._hash.update(data)
        for ciphertext in self._writer.pieces_of(data):
            self._open_sink().write(ciphertext)

    def halt(self) -> Halt:
        """Return where the arrival stands. What the sink got must be durable before it counts."""
        return Halt(self.size, self._media_type, self._writer.checkpoint())

    def learn(self, *, pipeline: str | None, folder: str, tags: tuple[str, ...]) -> None:
        """Take what a door learns only after the file.

        Raises:
            Refusal: once `abort` has been called, nothing is stored.
        """
        check_labels(folder=folder, tags=tags)
        self.offer = replace(self.offer, pipeline=pipeline, folder=folder, tags=tags)

    def rename(self, name: str) -> None:
        """Take a name that is known only after the file.

        Raises:
            Refusal: once `abort` has been called, nothing is stored.
        """
        check_name(name)
        self.offer = replace(self.offer, name=name)

    def commit(self, *, sha256: bytes | None = None) -> Upload:
        """Make the file durable and return its record; `sha256` is the sender's digest.

        Raises:
            Refusal: nothing is stored, once `abort` has been called.
        """
        if self.size == 0:
            raise EmptyFile
        if self.offer.size is not None and self.size != self.offer.size:
            raise Truncated
        sink = self._open_sink()
        sink.write(self._writer.finish())
        digest = self._digest_of_all()
        if sha256 is not None and sha256 != digest.digest():
            raise DigestMismatch
        sink.commit()
        try:
            self._judge_all()
            return self._record(digest.hexdigest())
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

    def _keys(self) -> dict[str, Any]:
        identity = self._identity
        return {
            "upload_key": identity.key,
            "upload_id": identity.upload_id,
            "owner_id": self.offer.owner.pk,
            "blob_id": identity.blob_id,
        }

    def _go_on(self, reserved: Reserved, halt: Halt) -> BlobWriter:
        envelope = reserved.sink.source().read_at(0, ENVELOPE_BYTES)
        writer = BlobWriter.resume(envelope, halt.checkpoint, **self._keys())
        self.size, self._media_type = halt.size, halt.media_type
        self._hash = None if reserved.digest is None else Hash(reserved.digest)
        if not self._media_type:
            self._head = writer.pending  # a head is shorter than a segment
        return writer

    def _judge_head(self) -> None:
        """Refuse at once what no later byte can make acceptable."""
        self._media_type = detect(self._head)
        possible = possible_types(self._media_type, name=self.offer.name)
        check_media_types(possible, self._rules, told=self._told(self._media_type))

    def _judge_all(self) -> None:
        """Decide what the file is. A container needs its end for that, so it is read back."""
        with AsWritten(self._head, self.size, self._open_written) as source:
            found = inspect(source, name=self.offer.name, declared_type=self.offer.declared_type)
        sentence = self._told(found.media_type)
        check_media_types((found.media_type,), self._rules, told=sentence)
        self._media_type = found.media_type
        self._actions = check_findings(found.findings, self._rules, told=sentence)

    def _told(self, media_type: str) -> str:
        return told(media_type, name=self.offer.name, declared_type=self.offer.declared_type)

    def _open_written(self) -> ClosableSource:
        return open_unrecorded(store().open(self._identity.blob_id), **self._keys())

    def _open_sink(self) -> Sink:
        if self._sink is None:
            self._sink = store().create(self._identity.blob_id)
        return self._sink

    def _digest_of_all(self) -> "hashlib._Hash":
        """Return the SHA-256 of the file; a finished blob is read where its state was lost."""
        if self._hash is None:
            assert self._reserved is not None  # noqa: S101 (only what is reserved goes on)
            self._hash = Hash()
            for chunk in read_unrecorded(self._reserved.sink.source(), **self._keys()):
                self._hash.update(chunk)
        return self._hash.state

    @transaction.atomic
    def _record(self, sha256: str) -> Upload:
        owner, identity = self.offer.owner, self._identity
        verdict = first_verdict(self._actions, self._media_type, self._rules)
        upload = Upload(
            pk=identity.upload_id,
            owner=owner,
            sealed_name=seal_name(self.offer.name, key=identity.key, upload_id=identity.upload_id),
            size=self.size,
            sha256=sha256,
            media_type=self._media_type,
            declared_type=self.offer.declared_type[:127],
            door=self.offer.door,
            folder=self.offer.folder,
            tags=pack_tags(self.offer.tags),
            **_place_below(self.offer.parent),
            verdict=verdict,
            held=verdict != Verdict.PASSED,
            idempotency=self.offer.idempotency,
            began_at=identity.began_at,
            created_at=timezone.now(),
        )
        insert([upload])
        under = owner_key(owner.pk)
        if self._reserved is not None:
            self._reserved.enter(upload)
        else:
            quota.take(owner, upload.size, self._rules)
            add_upload_key(upload.pk, owner.pk, identity.key, under=under)
        search.index_name(upload, self.offer.name, under=under)
        if self.offer.remember is not None:
            self.offer.remember(upload, self.offer)
        findings = keep_findings(upload.pk, self._actions, source=INTAKE)
        insert([Blob(pk=identity.blob_id, upload_id=upload.pk, is_content=True, size=self.size)])
        signals.upload_stored.send(Arrival, upload=upload, pipeline=self.offer.pipeline)
        logger.info("upload stored", extra={"upload": str(upload.pk), "bytes": upload.size})
        upload.name, upload.found = self.offer.name, findings
        return upload

    def _remove_blob(self) -> None:
        """Remove the bytes of an upload that got no row; what fails here, the sweep finds."""
        store().remove(self._identity.blob_id)


def _place_below(parent: Upload | None) -> dict[str, Any]:
    if parent is None:
        return {}
    root_id = parent.root_id or parent.pk
    return {"parent": parent, "root_id": root_id, "depth": parent.depth + 1}


def _first_with(offer: Offer) -> Upload | None:
    if not offer.idempotency:
        return None
    return Upload.objects.filter(owner=offer.owner, idempotency=offer.idempotency).first()
