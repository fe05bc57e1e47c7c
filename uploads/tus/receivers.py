"""What ends uploads besides their owner's wish: a browser that signs out."""

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from uploads.tus import sessions


@receiver(user_logged_out)
def end_uploads_of_a_browser(request: HttpRequest, **_: Any) -> None:
    """End the uploads that this browser began; the addresses of those say who may write."""
    if request.session.session_key:
        sessions.end_those_of(request.session.session_key)
