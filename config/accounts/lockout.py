"""What somebody sees who failed to sign in too often."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from config.accounts.errors import TooManyFailures
from config.problems import error_response


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Answer in the shape that the path promises."""
    return error_response(request, TooManyFailures())
