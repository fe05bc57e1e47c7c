"""What every endpoint of the API shares: bodies, errors, filters and pages."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django_filters import fields
from django_filters import rest_framework as filters
from rest_framework import exceptions, pagination, parsers
from rest_framework.request import Request

from config.errors import AppError
from config.middleware import request_id_of
from config.problems import NotFound, PermissionMissing, Problem

# The framework's names for its refusals -> ours. What is missing here keeps its name.
CODES = {
    "parse_error": "malformed_body",
    "unsupported_media_type": "unsupported_content_type",
}


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Turn what a view raised into a problem; leave what nobody expected to the 500 handler."""
    match exc:
        case AppError():
            problem = Problem.of(exc)
        case Http404():
            problem = Problem.of(NotFound())
        case PermissionDenied():
            problem = Problem.of(PermissionMissing())
        case exceptions.APIException():
            problem = _problem_of_framework(exc)
        case _:
            return None
    request: Request = context["request"]
    return problem.response(request_id_of(request._request))


def _problem_of_framework(exc: exceptions.APIException) -> Problem:
    if isinstance(exc, exceptions.ValidationError):
        errors = _field_errors(exc.detail, "")
        return Problem("invalid_input", 400, "Some of the input is not valid.", errors)
    code = str(exc.default_code)
    problem = Problem(CODES.get(code, code), exc.status_code, str(exc.default_detail))
    if auth_header := getattr(exc, "auth_header", None):
        problem.headers["WWW-Authenticate"] = auth_header
    if (wait := getattr(exc, "wait", None)) is not None:
        problem.headers["Retry-After"] = str(int(wait) + 1)
    return problem


def _field_errors(detail: Any, pointer: str) -> list[dict[str, str]]:
    if isinstance(detail, Mapping):
        return [
            e for key, value in detail.items() for e in _field_errors(value, f"{pointer}/{key}")
        ]
    if isinstance(detail, list):
        return [e for value in detail for e in _field_errors(value, pointer)]
    return [{"pointer": pointer, "code": str(detail.code), "detail": str(detail)}]


class JSONParser(parsers.JSONParser):
    """JSON; what is nested deeper than the interpreter goes is malformed, too."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise exceptions.ParseError from None


class MomentField(fields.IsoDateTimeField):  # type: ignore[misc]
    """A moment that the calendar still has in UTC."""

    def to_python(self, value: Any) -> Any:
        moment = super().to_python(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    """Narrows a list by a moment."""

    field_class = MomentField


class CursorPagination(pagination.CursorPagination):
    """Newest first, in pages that stay stable while rows are added. Ids sort by time."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100

    def decode_cursor(self, request: Request) -> Any:
        """Return the place in the list; one that is no id of ours was not made by us."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))
            except ValueError:
                raise exceptions.NotFound(self.invalid_cursor_message) from None
        return cursor
