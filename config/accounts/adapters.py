"""How allauth behaves here: accounts are made by administrators; second factors are sealed."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from config.accounts import sealing


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up: an administrator makes accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count failures by name and address: nobody locks an owner out from elsewhere."""
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{request.META.get('REMOTE_ADDR', '')}"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """The secret of an authenticator app is kept encrypted."""

    def encrypt(self, text: str) -> str:
        return sealing.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.decrypt(encrypted_text)
