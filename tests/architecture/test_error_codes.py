"""The table of error codes in the documents is the code's own: none is missing, none too many."""

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from rest_framework import exceptions

from config.api import CODES
from config.errors import AppError
from processing.pipelines import InvalidPipeline
from uploads.errors import Refusal
from uploads.tus.errors import HeaderInvalid
from uploads.watch import errors as watch_errors

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
ROW = re.compile(r"^\| (\d{3}) \| ([`a-z0-9_, ]+) \| (.+?) \| (.*?)\|$", re.MULTILINE)
NAME = re.compile(r"`([a-z0-9_]+)`")
FAMILIES = {Refusal, HeaderInvalid}  # never raised themselves
ELSEWHERE: set[type[AppError]] = {
    InvalidPipeline,
    *(each for each in Refusal.__subclasses__() if each.__module__ == watch_errors.__name__),
}
# Where the client may simply try again, it is told when.
PASSING = {423, 429, 503, 507}


def below(error: type[AppError]) -> Iterator[type[AppError]]:
    yield error
    for child in error.__subclasses__():
        yield from below(child)


def our_errors() -> set[type[AppError]]:
    """Return the errors of all rooms, and of nothing else that happens to be imported."""
    for room in ("config", "uploads", "processing", "dashboard"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if module.name.endswith((".errors", ".problems", ".definition")):
                importlib.import_module(module.name)
    return {error for error in below(AppError) if not error.__module__.startswith("tests.")}


def by_code(errors: Iterable[type[AppError]]) -> list[type[AppError]]:
    return sorted(errors, key=lambda error: error.code)


def answered() -> dict[str, set[int]]:
    """Return every code that HTTP may answer, with its statuses."""
    codes: dict[str, set[int]] = defaultdict(set)
    for error in our_errors() - FAMILIES - ELSEWHERE:
        codes[error.code].add(error.status)
    for kind in exceptions.APIException.__subclasses__():
        if kind.__module__ == exceptions.__name__ and kind is not exceptions.ValidationError:
            code = str(kind.default_code)
            codes[CODES.get(code, code)].add(kind.status_code)
    codes["invalid_input"].add(400)
    return codes


def documented() -> dict[str, set[int]]:
    codes: dict[str, set[int]] = defaultdict(set)
    for status, names, _, _ in ROW.findall(PAGE):
        for name in NAME.findall(names):
            codes[name].add(int(status))
    return codes


def test_every_code_and_status_is_in_the_table():
    assert documented() == answered()


def test_every_code_has_one_row_in_order_of_status():
    rows = ROW.findall(PAGE)
    names = [name for _, cell, _, _ in rows for name in NAME.findall(cell)]
    assert len(names) == len(set(names))
    assert [status for status, *_ in rows] == sorted(status for status, *_ in rows)


def test_the_table_says_where_retry_after_stands():
    waits = {error.code for error in our_errors() if error.retry_after_s}
    waits |= {exceptions.Throttled.default_code}
    said = {
        name
        for _, cell, _, remedy in ROW.findall(PAGE)
        for name in NAME.findall(cell)
        if "Retry-After" in remedy
    }
    assert said == waits


@pytest.mark.parametrize(
    "error",
    by_code(error for error in our_errors() if error.status in PASSING),
    ids=lambda error: error.code,
)
def test_what_passes_by_itself_says_when_to_come_back(error):
    assert error.retry_after_s


@pytest.mark.parametrize("error", by_code(ELSEWHERE), ids=lambda error: error.code)
def test_what_is_said_elsewhere_is_named_too(error):
    assert f"`{error.code}`" in PAGE
