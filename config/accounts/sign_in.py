"""Signing in with a password and, where the account has one, a second factor."""

from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.models import Authenticator
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from config.accounts import tokens
from config.accounts.errors import (
    CredentialsInvalid,
    MfaRequired,
    OtpInvalid,
    TooManyFailures,
)
from config.accounts.models import User


def sign_in_program(request: HttpRequest, *, username: str, password: str, otp: str) -> tokens.Pair:
    """Return tokens for the user whose credentials these are.

    Raises:
        CredentialsInvalid, TooManyFailures, MfaRequired, OtpInvalid: nothing was issued.
    """
    user = authenticate(request, username=username, password=password)
    if getattr(request, "axes_locked_out", False):
        raise TooManyFailures
    if not isinstance(user, User):
        raise CredentialsInvalid
    try:
        _check_second_factor(user, otp)
    except OtpInvalid:
        # Counted like a wrong password, or the code could be guessed at leisure.
        user_login_failed.send(__name__, credentials={"username": username}, request=request)
        raise
    return tokens.issue(user)


def _check_second_factor(user: User, otp: str) -> None:
    factors = list(Authenticator.objects.filter(user=user))
    if not factors:
        return
    if not otp:
        raise MfaRequired
    # Counted by account, whatever the address: six digits must not be guessable from many. Only
    # who knows the password gets here, so a stranger cannot lock the owner out with it.
    try:
        forget_failures = check_rate_limit(user)
    except ValidationError:
        raise TooManyFailures from None
    for factor in factors:
        if factor.type == Authenticator.Type.WEBAUTHN:
            continue  # a ceremony of the browser; a program uses a code
        if factor.wrap().validate_code(otp):
            factor.record_usage()
            forget_failures()
            return
    raise OtpInvalid
