"""One writer at a time.

The row says who: a lease, renewed by progress, and a fence. The lock of the file says that nobody
else is in the middle of a write. A claim is taken, and everything is written, under that lock; so
a writer that was taken over finds out before its next byte, not after it. A dead process holds no
lock, and its lease ends within `LEASE`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from uploads import quota
from uploads.intake import Halt
from uploads.models import Upload, UploadSession
from uploads.tus.errors import SessionLocked, SessionUnknown
from uploads.tus.parts import Part
from uploads.tus.sessions import ALLOWED, LIFETIME

LEASE = timedelta(seconds=5)
RENEW_S = LEASE.total_seconds() / 2


class Claim:
    """The right to write one session, until it is released or somebody takes it over."""

    def __init__(self, session: UploadSession, part: Part) -> None:
        """Take `session` as it was read.

        Raises:
            SessionLocked: somebody else holds it, or has written since it was read.
        """
        self._part = part
        self._owner_id = session.owner_id
        self._length = session.length
        self._renew_at = time.monotonic() + RENEW_S
        with part.locked():
            now = timezone.now()
            free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=now)
            as_read = Q(fence=session.fence, offset=session.offset, finished_at=None)
            taken = UploadSession.objects.filter(free & as_read, pk=session.pk).update(
                fence=F("fence") + 1, lease_expires_at=now + LEASE
            )
        if not taken:
            raise SessionLocked
        self._mine = UploadSession.objects.filter(
            pk=session.pk, fence=session.fence + 1, finished_at=None
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of the file, as its rightful writer.

        Raises:
            SessionLocked: the session was taken over, or has ended.
            SessionUnknown: its owner may not upload any more.
        """
        with self._part.locked(patience_s=RENEW_S):  # whoever only tries to claim is done at once
            began = time.monotonic()
            if began >= self._renew_at:
                self._change(lease_expires_at=timezone.now() + LEASE)
                self._renew_at = began + RENEW_S
            yield

    def count(self, halt: Halt) -> None:
        """Count everything up to `halt`, which is durable."""
        now = timezone.now()
        self._change(
            offset=halt.size,
            media_type=halt.media_type,
            checkpoint=halt.checkpoint,
            lease_expires_at=now + LEASE,
            expires_at=now + LIFETIME,
        )

    def enter(self, upload: Upload) -> None:
        """Finish the session. Call it in the transaction that makes the upload."""
        now = timezone.now()
        self._change(
            offset=upload.size,
            checkpoint=b"",
            finished_at=now,
            lease_expires_at=None,
            expires_at=now + LIFETIME,
        )
        quota.settle(self._owner_id, self._length)

    def release(self) -> None:
        """Let the next one write. Harmless when it is lost already."""
        self._mine.update(lease_expires_at=None)

    def _change(self, **values: object) -> None:
        if self._mine.filter(ALLOWED).update(**values):
            return
        raise SessionUnknown if self._mine.exists() else SessionLocked
