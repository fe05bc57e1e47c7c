"""What is left of an account in records of others, when it is deleted: its name."""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from config.accounts.models import User


def forget_name(user: User) -> None:
    """Remove the records of sign-ins, and of the admin, that hold the name of `user`."""
    for model in (AccessAttempt, AccessFailureLog, AccessLog):
        model.objects.filter(username=user.username).delete()
    about_users = ContentType.objects.get_for_model(User)
    LogEntry.objects.filter(content_type=about_users, object_id=str(user.pk)).delete()
