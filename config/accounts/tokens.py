"""JSON Web Tokens for programs: short access, rotating refresh.

Claims beside the registered ones (RFC 7519): `fam`, the token family; `sv`, the user's session
version. A token holds only while its family lives and the session version is the user's.
"""

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import TokenError

from config.accounts.errors import TokenInvalid
from config.accounts.models import TokenFamily, User
from config.prepared import Prepared

logger = logging.getLogger(__name__)


class AccessToken(tokens.AccessToken):
    """What a request carries."""


class RefreshToken(tokens.RefreshToken):
    """What is exchanged for a new pair, once."""


@dataclass(frozen=True)
class Pair:
    """Both tokens, encoded."""

    access: str
    refresh: str


def issue(user: User) -> Pair:
    """Start a family for `user`, who has just proved who they are."""
    refresh = RefreshToken()
    family = TokenFamily.objects.create(user=user, next_refresh=refresh["jti"])
    return _pair(refresh, family, user)


def rotate(encoded: str) -> Pair:
    """Exchange a refresh token for a new pair; it is worth nothing afterwards.

    Raises:
        TokenInvalid: expired, forged, of an ended family or an inactive user. A token that was
            exchanged before ends its family as well.
    """
    old = _decode_refresh(encoded)
    family = _living_family(old.payload)
    new = RefreshToken()
    taken = TokenFamily.objects.filter(
        pk=family.pk, next_refresh=old["jti"], ended_at__isnull=True
    ).update(next_refresh=new["jti"], refreshed_at=timezone.now())
    if not taken:
        _end(family, TokenFamily.End.REPLAYED)
        logger.warning("refresh token replayed", extra={"user": str(family.user_id)})
        raise TokenInvalid
    return _pair(new, family, family.user)


def revoke(encoded: str) -> None:
    """End the family of a refresh token.

    Raises:
        TokenInvalid: it does not name a living family.
    """
    _end(_living_family(_decode_refresh(encoded).payload), TokenFamily.End.SIGNED_OUT)


def user_of(payload: dict[str, Any]) -> User:
    """Return the user that a verified access token stands for.

    Raises:
        TokenInvalid: the family has ended, the session version has changed, or the account is off.
    """
    for user in _USER(family=_family_of(payload)):
        if _is_of(payload, user.pk, user.session_version):
            return user
    raise TokenInvalid


def still_holds(payload: dict[str, Any]) -> bool:
    """Tell whether a verified access token still stands for its user, without making that user."""
    living = _HOLDER(family=_family_of(payload))
    return any(_is_of(payload, *holder) for holder in living)


def _living_family(payload: dict[str, Any]) -> TokenFamily:
    family = _living_families(_family_of(payload)).select_related("user").first()
    if family is None or not _is_of(payload, family.user_id, family.user.session_version):
        raise TokenInvalid
    return family


def _family_of(payload: dict[str, Any]) -> UUID:
    """Return which family a token names."""
    try:
        return UUID(str(payload.get("fam")))
    except ValueError:
        raise TokenInvalid from None


def _living_families(family: UUID) -> QuerySet[TokenFamily]:
    """Return a family, if it lives, as a query."""
    return TokenFamily.objects.filter(pk=family, ended_at__isnull=True, user__is_active=True)


def _holder(family: UUID) -> QuerySet[TokenFamily, tuple[UUID, int]]:
    return _living_families(family).values_list("user_id", "user__session_version")


def _user(family: UUID) -> QuerySet[User]:
    living = {"token_families__pk": family, "token_families__ended_at__isnull": True}
    return User.objects.filter(is_active=True, **living)


# Each request with a token asks one of them.
_HOLDER = Prepared(TokenFamily, _holder)
_USER = Prepared(User, _user)


def _is_of(payload: dict[str, Any], user_id: UUID, session_version: int) -> bool:
    return str(user_id) == payload.get("sub") and session_version == payload.get("sv")


def _decode_refresh(encoded: str) -> RefreshToken:
    try:
        return RefreshToken(encoded)  # type: ignore[arg-type]
    except TokenError:
        raise TokenInvalid from None


def _end(family: TokenFamily, because: TokenFamily.End) -> None:
    TokenFamily.objects.filter(pk=family.pk, ended_at__isnull=True).update(
        ended_at=timezone.now(), ended_because=because
    )


def _pair(refresh: RefreshToken, family: TokenFamily, user: User) -> Pair:
    for claim, value in (
        ("sub", str(user.pk)),
        ("fam", str(family.pk)),
        ("sv", user.session_version),
    ):
        refresh[claim] = value
    access = AccessToken()
    for claim in ("sub", "fam", "sv"):
        access[claim] = refresh[claim]
    return Pair(access=str(access), refresh=str(refresh))
