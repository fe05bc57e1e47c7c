"""A POST that makes one thing, and makes it once however often it is sent under one key."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.http import HttpRequest

from config.accounts.models import User
from config.idempotency import keys

T = TypeVar("T")
Keep = Callable[[UUID], object]


def keep_nothing(_: UUID) -> None:
    """Take the place of what keeps a result, where there is no key."""


def once(
    owner: User,
    request: HttpRequest,
    *facts: str,
    make: Callable[[Keep], T],
    find: Callable[[UUID], T | None],
) -> tuple[T, dict[str, str]]:
    """Return what `make` makes, or `find` finds of an earlier request with the same key and facts.

    `make` gets what keeps the id of its result, and calls it in the transaction that makes it.
    The headers that are returned as well say whether nothing was made.

    Raises:
        KeyInvalid, KeyReused, StillInFlight, ResultGone
    """
    claim = keys.claim(owner, request)
    if claim is None:
        return make(keep_nothing), {}
    if isinstance(claim, keys.Replay):
        claim.check(*facts)
        found = find(claim.subject)
        if found is None:
            raise keys.gone()
        return found, {keys.REPLAYED: "true"}
    try:
        return make(lambda subject: claim.keep(subject, *facts)), {}
    except BaseException:
        claim.release()
        raise
