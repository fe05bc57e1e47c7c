"""The API says which version of a resource it gives, and does not give one twice."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from config.edge.errors import PreconditionFailed
from config.middleware import request_id_of
from config.problems import problem_response


def entity_tag(content: bytes) -> str:
    """Return the `ETag` of an answer, which changes with every byte of it."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


class EntityTagMiddleware:
    """Give the JSON of the API an `ETag`, and answer 304 to whoever has it already.

    Contents have one of their own, of bytes that are not in the response.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_read = request.method in {"GET", "HEAD"} and response.status_code == HTTPStatus.OK
        is_json = response.get("Content-Type") == "application/json"
        is_plain = is_read and is_json and not response.has_header("ETag")
        if not (is_plain and request.path.startswith("/api/")):
            return response
        response["ETag"] = entity_tag(response.content)
        conditional = cast(
            HttpResponse,
            get_conditional_response(request, etag=response["ETag"], response=response),
        )
        if conditional.status_code == HTTPStatus.PRECONDITION_FAILED:
            return problem_response(PreconditionFailed(), request_id_of(request))
        return conditional
