"""Long lists, a page at a time: where one begins, and where the next one does."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def place_of(text: str) -> UUID | None:
    """Return the id that says where a page of a list begins; None for what is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None


def page_of(rows: "QuerySet[M]", size: int) -> tuple[list[M], Any]:
    """Return the first `size` rows, and the id of the last of them if there are more; one query."""
    found = list(rows[: size + 1])
    shown = found[:size]
    return shown, shown[-1].pk if len(found) > size else None
