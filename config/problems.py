"""Errors as answers.

For programs: problem details (RFC 9457) with two members of our own, `code`, stable, and
`request_id`, for whoever looks into the logs. For people: a page that says the same.
"""

import http
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from config.errors import AppError
from config.middleware import request_id_of

CONTENT_TYPE = "application/problem+json"
PROGRAM_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")


class NotFound(AppError):
    code = "not_found"
    status = 404
    detail = "There is nothing here that you may see."


class BadRequest(AppError):
    code = "bad_request"
    status = 400
    detail = "The request could not be understood."


class CsrfFailed(AppError):
    code = "csrf_failed"
    status = 403
    detail = "The form has expired or came from another site. Reload the page and try again."


class PermissionMissing(AppError):
    code = "permission_denied"
    status = 403
    detail = "You may not do this."


@dataclass(frozen=True)
class Problem:
    """What went wrong; `errors` name single fields by JSON pointer."""

    code: str
    status: int
    detail: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: AppError) -> "Problem":
        """Return the problem that an error stands for."""
        problem = cls(error.code, error.status, error.detail)
        if error.pointer:
            problem.errors.append(
                {"pointer": error.pointer, "code": error.code, "detail": error.detail}
            )
        if error.retry_after_s is not None:
            problem.headers["Retry-After"] = str(error.retry_after_s)
        if error.status == http.HTTPStatus.UNAUTHORIZED:
            problem.headers["WWW-Authenticate"] = 'Bearer realm="api"'
        return problem

    def response(self, request_id: str | None) -> HttpResponse:
        """Return the answer."""
        body: dict[str, Any] = {
            "type": f"urn:strongroom:problem:{self.code}",
            "title": _title(self.status),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = self.errors
        return JsonResponse(
            body, status=self.status, headers=self.headers, content_type=CONTENT_TYPE
        )


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:  # some protocols over HTTP have statuses of their own
        return "Refused"


def problem_response(error: AppError, request_id: str | None = None) -> HttpResponse:
    """Return `error` as a problem."""
    return Problem.of(error).response(request_id)


def error_response(request: HttpRequest, error: AppError) -> HttpResponse:
    """Answer with `error` in the shape of the path: a problem for programs, a page for people."""
    if request.path.startswith(PROGRAM_PATHS):
        return problem_response(error, request_id_of(request))
    context = {"error": error, "request_id": request_id_of(request)}
    headers = Problem.of(error).headers
    headers.pop("WWW-Authenticate", None)  # a browser would open its own box for it
    page = render_to_string("error.html", context)  # without context processors: they may fail too
    return HttpResponse(page, status=error.status, headers=headers)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Answer a form without a valid token."""
    return error_response(request, CsrfFailed())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Answer what Django calls suspicious."""
    return error_response(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Answer who may not."""
    return error_response(request, PermissionMissing())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Answer a path that does not exist, or not for this user."""
    return error_response(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw."""
    return error_response(request, AppError())
