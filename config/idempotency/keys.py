"""`Idempotency-Key`: a request that is sent again gets the answer of the first one.

A row says that a request is under way, under a lease, and what it made, in the transaction that
makes it. A process that dies leaves a lease, which ends; a request that fails leaves nothing, so
that its key can be used again. Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from config.accounts.models import User
from config.idempotency.errors import KeyInvalid, KeyReused, ResultGone, StillInFlight
from config.idempotency.models import KeptRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"  # in the answer, where nothing was made
KEPT_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=60)
RENEW_S = 15.0
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True)
class Replay:
    """An earlier request with this key has made `subject`."""

    subject: UUID
    _key: str
    _body: str

    def check(self, *facts: str) -> None:
        """Refuse a request whose body says something else than that of the first one.

        Raises:
            KeyReused
        """
        if not hmac.compare_digest(_digest(self._key, facts), self._body):
            raise KeyReused


class Claim:
    """The right to be the request with this key, until it is kept or released."""

    def __init__(self, row: KeptRequest, key: str) -> None:
        self._key = key
        self._renew_at = time.monotonic() + RENEW_S
        self._id, self._lease = row.pk, row.lease_expires_at

    def renew(self) -> None:
        """Go on holding it; call it while there is progress."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_S
            lease = timezone.now() + LEASE
            self._change(lease_expires_at=lease)
            self._lease = lease

    def keep(self, subject: UUID, *facts: str) -> None:
        """Keep what was made. Call it in the transaction that makes it.

        Raises:
            StillInFlight: the lease ended, and another request has taken over.
        """
        self._change(subject=subject, body=_digest(self._key, facts))

    def release(self) -> None:
        """Give the key up: nothing was made. Harmless otherwise."""
        KeptRequest.objects.filter(pk=self._id, subject=None, lease_expires_at=self._lease).delete()

    def _change(self, **values: object) -> None:
        mine = KeptRequest.objects.filter(pk=self._id, subject=None, lease_expires_at=self._lease)
        if not mine.update(**values):
            raise StillInFlight


def claim(owner: User, request: HttpRequest) -> Claim | Replay | None:
    """Return the right to do what `request` asks, or what was made of it; None without a key.

    Raises:
        KeyInvalid, KeyReused, StillInFlight
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise KeyInvalid
    asked = _digest(key, [str(request.method), request.get_full_path()])
    row = _begin(owner, key, asked)
    if isinstance(row, Claim):
        return row
    if row.asked != asked:
        raise KeyReused
    if row.subject is None:
        return _take_over(row, key)
    return Replay(row.subject, key, row.body)


def gone() -> ResultGone:
    """Return the answer to a replay whose subject is not there any more."""
    return ResultGone()


def forget_old() -> int:
    """Remove what is older than a key is kept; return how many."""
    old = KeptRequest.objects.filter(
        created_at__lt=timezone.now() - KEPT_FOR, lease_expires_at__lt=timezone.now()
    )
    return old.delete()[0]


def _begin(owner: User, key: str, asked: str) -> Claim | KeptRequest:
    now = timezone.now()
    hidden = hashlib.sha256(key.encode()).hexdigest()
    rows = KeptRequest.objects.filter(owner=owner, key=hidden)
    rows.filter(created_at__lt=now - KEPT_FOR, lease_expires_at__lt=now).delete()
    row = KeptRequest(
        owner=owner, key=hidden, asked=asked, lease_expires_at=now + LEASE, created_at=now
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        first = rows.first()
        if first is None:  # it failed just now
            raise StillInFlight from None
        return first
    return Claim(row, key)


def _take_over(row: KeptRequest, key: str) -> Claim:
    """Go on with a request whose process has died."""
    now = timezone.now()
    dead = KeptRequest.objects.filter(
        pk=row.pk, subject=None, lease_expires_at=row.lease_expires_at
    )
    row.lease_expires_at = now + LEASE
    if not dead.filter(lease_expires_at__lt=now).update(lease_expires_at=row.lease_expires_at):
        raise StillInFlight
    return Claim(row, key)


def _digest(key: str, facts: Sequence[str]) -> str:
    """Return a digest that says nothing to whoever does not know the key."""
    message = b"".join(len(raw).to_bytes(8) + raw for raw in map(_encoded, facts))
    return hmac.digest(key.encode(), message, "sha256").hex()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
