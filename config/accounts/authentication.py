"""How a request proves its user: a bearer token for programs, a session for browsers."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework import authentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import Token

from config.accounts import tokens
from config.accounts.errors import TokenInvalid
from config.accounts.models import User


class TokenAuthentication(JWTAuthentication):
    """Verify signature, expiry, audience and issuer, then family, session version and account."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except InvalidToken:
            raise TokenInvalid from None

    def get_user(self, validated_token: Token) -> Any:
        return tokens.user_of(validated_token.payload)


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of a page, with the CSRF token in its header."""

    def enforce_csrf(self, request: Request | HttpRequest) -> None:
        plain = request._request if isinstance(request, Request) else request
        if not hasattr(plain, "_post"):
            # The check looks for the token in the form first, which would read the body of an
            # upload into memory before anybody has judged it.
            plain._post = QueryDict()  # type: ignore[attr-defined]
            plain._files = MultiValueDict()  # type: ignore[attr-defined]
        super().enforce_csrf(plain)  # type: ignore[arg-type]


def authenticated_user(request: Any) -> User:
    """Return the user of a request that has passed its permission check."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("This view is open to strangers; it has no user.")
    return user


def still_signed_in(request: Request) -> Callable[[], bool]:
    """Return a question to ask again while a long answer runs: may this caller still see it?"""
    token: Any = request.auth
    session = request._request.session

    def by_token() -> bool:
        return tokens.still_holds(token.payload)

    def by_session() -> bool:
        fresh = HttpRequest()
        fresh.session = type(session)(session.session_key)
        return get_user(fresh).is_authenticated

    return by_session if token is None else by_token
