"""What takes the body of a PATCH: into the ciphertext of its session, with checkpoints.

What the network cuts off is kept up to its last byte; what we refuse is not. The last byte of a
file becomes durable only with the upload itself, so that a session stands at its full length
exactly when there is an upload.
"""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from django.http import HttpResponse

from uploads.encryption import Damaged
from uploads.errors import Refusal
from uploads.intake import Arrival, Halt, Reserved
from uploads.models import Upload, UploadSession
from uploads.policy import policy_for
from uploads.tus.claims import Claim
from uploads.tus.digests import digests
from uploads.tus.errors import (
    ChecksumMismatch,
    LengthExceeded,
    SessionGone,
    SessionLocked,
    SessionUnknown,
)
from uploads.tus.parts import Part
from uploads.tus.protocol import Checksum
from uploads.tus.sessions import end, offer_of

# How much arrives between two checkpoints, and how long that takes at least: each one waits for all
# that is on its way. A killed server may ask for twice as much again: for what came since the last
# one, which may not have been durable yet.
CHECKPOINT_BYTES = 64 * 1024 * 1024
CHECKPOINT_S = 0.25

# Makes the answer to a body that was taken: the durable offset, and at the end the upload.
Answer = Callable[[int, Upload | None], HttpResponse]


def open_receiver(
    session: UploadSession, answer: Answer, *, checksum: Checksum | None = None
) -> "SessionReceiver":
    """Become the writer of `session`, at its offset.

    Raises:
        SessionLocked: somebody else is.
        SessionUnknown: its owner may not upload any more.
        SessionGone: what had arrived is lost.
    """
    part = Part(session.blob_id)
    try:
        claim = Claim(session, part)
    except BaseException:
        part.abort()
        raise
    try:
        arrival = _arrival(session, part, claim)
    except Damaged:
        part.abort()
        end(session)
        raise SessionGone from None
    except BaseException:
        claim.release()
        part.abort()
        raise
    return SessionReceiver(session, part, claim, arrival, answer, checksum)


def _arrival(session: UploadSession, part: Part, claim: Claim) -> Arrival:
    """Return an arrival that stands at the durable offset, and cut off what lies beyond."""
    halt = None
    if session.offset:
        halt = Halt(session.offset, session.media_type, bytes(session.checkpoint))
    offer, identity = offer_of(session)
    digest = digests.at(session.pk, session.offset) if halt else None
    reserved = Reserved(identity, part, claim.enter, halt, digest)
    with claim.held():
        arrival = Arrival(offer, policy_for(session.owner), session.length, reserved)
        stored_bytes = arrival.stored_bytes if halt else 0
        if part.source().size < stored_bytes:
            raise Damaged("length")
        part.cut(stored_bytes)
    session.checkpoint = b""  # a segment of memory for as long as the body takes
    return arrival


@dataclass(frozen=True)
class Checkpoint:
    """A state of an arrival that is being made durable."""

    halt: Halt
    digest: "hashlib._Hash | None"
    synced: "Future[None]"


class SessionReceiver:
    """Takes the bytes that follow the offset of its session."""

    def __init__(
        self,
        session: UploadSession,
        part: Part,
        claim: Claim,
        arrival: Arrival,
        answer: Answer,
        checksum: Checksum | None,
    ) -> None:
        self._session = session
        self._part = part
        self._claim = claim
        self._arrival = arrival
        self._answer = answer
        self._expected = checksum.digest if checksum else b""
        self._hashed: hashlib._Hash | None = checksum.begin() if checksum else None
        self._durable = session.offset
        self._next: Checkpoint | None = None
        self._next_at = time.monotonic() + CHECKPOINT_S
        self._failed = False

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._take(data)
        except BaseException as error:
            self._fail(error)
            raise

    def finish(self) -> HttpResponse:
        try:
            if self._hashed is not None and self._hashed.digest() != self._expected:
                raise ChecksumMismatch
            upload = None
            with self._claim.held():
                if self._arrival.size == self._session.length:
                    upload = self._arrival.commit()
                elif self._arrival.size > self._durable:
                    self._begin_checkpoint()
                    self._end_checkpoint()
            answer = self._answer(self._arrival.size, upload)
        except BaseException as error:
            self._fail(error)
            raise
        self._leave(upload)
        return answer

    def abort(self) -> None:
        """Keep what has arrived, if it was the network that failed and nobody took over."""
        unproven = self._hashed is not None  # half a body has no checksum
        kept = range(self._durable + 1, self._session.length)
        try:
            if not self._failed and not unproven and self._arrival.size in kept:
                with suppress(SessionLocked, SessionUnknown), self._claim.held():
                    self._begin_checkpoint()
                    self._end_checkpoint()
        finally:
            self._claim.release()
            self._part.abort()

    def _take(self, data: bytes | memoryview) -> None:
        if self._arrival.size + len(data) > self._session.length:
            raise LengthExceeded
        with self._claim.held():
            self._arrival.write(data)
            if self._hashed is not None:
                self._hashed.update(data)
                return
            if self._next is not None and self._next.synced.done():
                self._end_checkpoint()
            if self._due():
                self._begin_checkpoint()

    def _due(self) -> bool:
        if time.monotonic() < self._next_at:
            return False
        size = self._arrival.size
        since = self._durable if self._next is None else self._next.halt.size
        return size - since >= CHECKPOINT_BYTES and size < self._session.length

    def _begin_checkpoint(self) -> None:
        """Have all that has arrived made durable, while more arrives."""
        if self._next is not None:
            self._end_checkpoint()
        digest = self._arrival.digest
        self._next = Checkpoint(
            self._arrival.halt(),
            None if digest is None else digest.copy(),
            self._part.begin_sync(),
        )
        self._next_at = time.monotonic() + CHECKPOINT_S

    def _end_checkpoint(self) -> None:
        """Count what is durable: first the bytes, then the row that counts them."""
        assert self._next is not None  # noqa: S101 (asked by whoever calls)
        made, self._next = self._next, None
        made.synced.result()
        self._claim.count(made.halt)
        self._durable = made.halt.size
        if made.digest is not None:
            digests.park(self._session.pk, made.halt.size, made.digest)

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        if isinstance(error, Refusal) and error.status < 500:  # the file is refused, not the disk
            end(self._session)
            digests.forget(self._session.pk)

    def _leave(self, upload: Upload | None) -> None:
        if upload is None:
            self._claim.release()
            self._part.abort()
        else:
            self._part.discard()
            digests.forget(self._session.pk)
