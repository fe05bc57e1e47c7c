"""A POST that is sent again under its `Idempotency-Key` finds the session that it began."""

from django.http import HttpRequest

from config.idempotency import keys
from uploads.models import UploadSession
from uploads.tus import sessions
from uploads.tus.errors import SessionUnknown


def create_once(
    request: HttpRequest, caller: sessions.Caller, *, length: int, metadata: str
) -> tuple[str, UploadSession, bool]:
    """Return the token and the session of `request`, and whether an earlier one began it.

    Raises:
        Refusal, HeaderInvalid: nothing was stored, and the key is free.
        KeyInvalid, KeyReused, StillInFlight
        ResultGone, SessionGone: what the earlier request began has ended.
    """
    found = keys.claim(caller.user, request)
    if found is None:
        return *sessions.create(caller, length=length, metadata=metadata), False
    key, facts = request.headers[keys.HEADER], (str(length), metadata)
    if isinstance(found, keys.Replay):
        found.check(*facts)
        try:
            return *sessions.begun_under(key, caller.user, found.subject), True
        except SessionUnknown:
            raise keys.gone() from None
    try:
        token, session = sessions.create(
            caller,
            length=length,
            metadata=metadata,
            idempotency=sessions.Idempotency(key, lambda upload_id: found.keep(upload_id, *facts)),
        )
    except BaseException:
        found.release()
        raise
    return token, session, False
