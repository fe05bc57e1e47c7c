"""Upload sessions: begun, found again by their token, ended, swept.

The token in a session's address is what authorises: an access token may expire while a long
upload goes on. Each request, and each checkpoint in it, still asks whether the owner may upload.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from config.accounts.models import TokenFamily, User
from uploads import quota
from uploads.encryption import UnknownKey, seal, unseal
from uploads.errors import EmptyFile
from uploads.intake import Identity, Offer, judge
from uploads.keys import add_upload_key, destroy_upload_key, upload_key
from uploads.models import Door, Upload, UploadSession
from uploads.tus.errors import SessionGone, SessionUnknown
from uploads.tus.parts import parts, remove_part
from uploads.tus.protocol import parse_metadata

logger = logging.getLogger(__name__)

LIFETIME = timedelta(hours=24)  # after the last progress; a finished one answers for as long
TOKEN_BYTES = 24
# Sessions whose owner may still upload, as what they had signed in with. Subqueries and no joins:
# an UPDATE keeps its own conditions beside them.
ALLOWED = Exists(
    User.objects.filter(
        pk=OuterRef("owner"), is_active=True, session_version=OuterRef("session_version")
    )
) & (
    Q(token_family=None)
    | Exists(TokenFamily.objects.filter(pk=OuterRef("token_family"), ended_at=None))
)


@dataclass(frozen=True)
class Caller:
    """Who begins a session, and as what they have signed in: by a token or in a browser."""

    user: User
    door: Door
    token_family: UUID | None = None
    browser_session: str = field(default="", repr=False)


@dataclass(frozen=True)
class Idempotency:
    """The key of a request that may be sent again, and what remembers the id of its upload."""

    key: str = field(repr=False)
    remember: Callable[[UUID], None]


def create(
    caller: Caller, *, length: int, metadata: str, idempotency: Idempotency | None = None
) -> tuple[str, UploadSession]:
    """Promise room for a file and return the new session's token, and the session.

    `metadata` is the client's header.

    Raises:
        Refusal, HeaderInvalid: nothing was stored.
    """
    offer = _offer(caller.user, caller.door, length, metadata)
    judge(offer)
    if length == 0:
        raise EmptyFile
    identity = Identity()
    if idempotency is None:
        token = secrets.token_urlsafe(TOKEN_BYTES)
    else:
        token = _token_under(idempotency.key, identity.key)
    with transaction.atomic():
        quota.reserve(caller.user, length)
        add_upload_key(identity.upload_id, caller.user.pk, identity.key)
        session = UploadSession.objects.create(
            pk=_digest(token),
            owner=caller.user,
            session_version=caller.user.session_version,
            token_family=caller.token_family,
            sign_in=_digest(caller.browser_session) if caller.browser_session else "",
            upload_id=identity.upload_id,
            blob_id=identity.blob_id,
            door=caller.door,
            sealed_metadata=seal(
                metadata.encode(), key=identity.key, context=_context(identity.upload_id)
            ),
            length=length,
            began_at=identity.began_at,
            expires_at=identity.began_at + LIFETIME,
        )
        if idempotency is not None:
            idempotency.remember(identity.upload_id)
    logger.info("upload session begun", extra={"upload": str(session.upload_id), "bytes": length})
    return token, session


def find(token: str, user: User | None) -> UploadSession:
    """Return the session of `token`; `user` is who signed the request, if anybody did.

    Raises:
        SessionUnknown: there is none, or not for this user, or its owner may not upload any more.
        SessionGone: it has expired, or its upload was deleted.
    """
    found = UploadSession.objects.select_related("owner").filter(ALLOWED, pk=_digest(token))
    session = found.first()
    if session is None or user not in {None, session.owner}:
        raise SessionUnknown
    if session.expires_at <= timezone.now():
        raise SessionGone
    if session.finished_at and not Upload.objects.filter(pk=session.upload_id).exists():
        raise SessionGone
    return session


def begun_under(idempotency: str, user: User, upload_id: UUID) -> tuple[str, UploadSession]:
    """Return the token and the session that a request with this `Idempotency-Key` began.

    Raises:
        SessionUnknown, SessionGone: it has ended.
    """
    session = UploadSession.objects.filter(owner=user, upload_id=upload_id).first()
    if session is None:
        raise SessionUnknown
    token = _token_under(idempotency, _key_of(session))
    return token, find(token, user)


def metadata_of(session: UploadSession) -> str:
    """Return the client's header."""
    return _unseal_metadata(session, _key_of(session))


def offer_of(session: UploadSession) -> tuple[Offer, Identity]:
    """Return what the intake has to know of the file.

    Raises:
        SessionGone: its key has been destroyed.
    """
    key = _key_of(session)
    metadata = _unseal_metadata(session, key)
    identity = Identity(session.upload_id, session.blob_id, key, session.began_at)
    return _offer(session.owner, Door(session.door), session.length, metadata), identity


def end(session: UploadSession) -> None:
    """Forget a session; of an unfinished one, what has arrived becomes unreadable and goes."""
    with transaction.atomic():
        rows = UploadSession.objects.filter(pk=session.pk)
        unfinished, _ = rows.filter(finished_at=None).delete()
        if unfinished:
            quota.release(session.owner_id, session.length)
            destroy_upload_key(session.upload_id)
        else:
            rows.delete()
    remove_part(session.blob_id)
    logger.info("upload session ended", extra={"upload": str(session.upload_id)})


def end_those_of(browser_session: str) -> None:
    """End what was begun in a browser that signs out."""
    for session in UploadSession.objects.filter(sign_in=_digest(browser_session)):
        end(session)


def sweep(*, grace_s: float) -> int:
    """End the sessions that have expired; return how many. Parts without a session go, too."""
    expired = list(UploadSession.objects.filter(expires_at__lte=timezone.now()))
    for session in expired:
        end(session)
    for blob_id in parts(older_than_s=grace_s):
        if not UploadSession.objects.filter(blob_id=blob_id, finished_at=None).exists():
            remove_part(blob_id)
    return len(expired)


def _offer(owner: User, door: Door, length: int, metadata: str) -> Offer:
    said = parse_metadata(metadata)
    return Offer(
        owner=owner,
        name=said.name,
        declared_type=said.declared_type,
        door=door,
        pipeline=said.pipeline,
        folder=said.folder,
        tags=said.tags,
        size=length,
    )


def _key_of(session: UploadSession) -> bytes:
    try:
        return upload_key(session.upload_id)
    except UnknownKey:
        raise SessionGone from None


def _unseal_metadata(session: UploadSession, key: bytes) -> str:
    sealed = bytes(session.sealed_metadata)
    return unseal(sealed, key=key, context=_context(session.upload_id)).decode()


def _token_under(idempotency: str, upload_key: bytes) -> str:
    """Return a token that can be made again, by nobody without both keys."""
    secret = hmac.digest(upload_key, b"tus token\0" + idempotency.encode(), "sha256")
    return base64.urlsafe_b64encode(secret[:TOKEN_BYTES]).decode()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _context(upload_id: UUID) -> bytes:
    return b"tus metadata" + upload_id.bytes
