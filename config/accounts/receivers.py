"""What ends a user's tokens and sessions: a changed password or factor, a switched-off account."""

from typing import Any

from allauth.mfa.signals import authenticator_added, authenticator_removed
from django.contrib.auth import update_session_auth_hash
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from config.accounts.models import User, new_session_version


@receiver(pre_save, sender=User)
def end_tokens_of_a_changed_account(
    instance: User, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    """Give the account a new session version when its password or its activity changes."""
    if instance._state.adding or (
        update_fields is not None and not update_fields & {"password", "is_active"}
    ):
        return
    before = User.objects.filter(pk=instance.pk).values_list("password", "is_active").first()
    if before is not None and before != (instance.password, instance.is_active):
        instance.session_version = new_session_version()
        User.objects.filter(pk=instance.pk).update(session_version=instance.session_version)


@receiver([authenticator_added, authenticator_removed])
def end_what_began_without_the_factor(request: HttpRequest, user: User, **_: Any) -> None:
    """Leave only the session in which the second factor was changed."""
    user.end_tokens()
    update_session_auth_hash(request, user)
