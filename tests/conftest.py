"""The cast of every test, and what the tiers ask of a run of them."""

import copy
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models import OuterRef, Subquery
from hypothesis import HealthCheck, settings

from tests.stack import prepare

if TYPE_CHECKING:
    from processing.models import PipelineVersion
    from processing.pipelines import PipelineDefinition

# How long an example takes says something about the machine, not about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

OWNER = "olive"
STRANGER = "sam"
ADMINISTRATOR = "ada"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only",
        action="store_true",
        help="run only the tests that use the database: those to repeat on another one",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--database-only"):
        config.hook.pytest_deselected(items=[item for item in items if not uses_database(item)])
        items[:] = filter(uses_database, items)


def uses_database(item: pytest.Item) -> bool:
    """Tell whether a test may use the database; pytest-django keeps it from all others."""
    fixtures = getattr(item, "fixturenames", ())
    return "django_db_setup" in fixtures or item.get_closest_marker("django_db") is not None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Where every tier is required, a skip is a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("STRONGROOM_REQUIRE_TIERS") == "1":
        report.outcome = "failed"
        report.longrepr = f"Skipped although every tier is required: {report.longrepr}"


@pytest.fixture(autouse=True)
def _own_blobs(tmp_path: Path, settings: Any) -> None:
    """Give each test a storage of its own."""
    settings.UPLOADS = {**settings.UPLOADS, "BLOBS_DIR": tmp_path / "blobs"}


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    """Forget the throttles' counters."""
    from django.core.cache import cache

    yield
    cache.clear()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder as a first start leaves it, to be copied: to make one takes seconds."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    prepare(data)
    return data


@pytest.fixture
def owner(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user(OWNER, password="a-long-pass-phrase")


@pytest.fixture
def stranger(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user(STRANGER, password="a-long-pass-phrase")


@pytest.fixture
def administrator(django_user_model: Any) -> Any:
    return django_user_model.objects.create_superuser(ADMINISTRATOR, password="a-long-pass-phrase")


@pytest.fixture
def pipelines(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring the built-in pipelines into the database; that for texts with its first three steps.

    Most tests run a text, and are about runs, not about what is worth doing to a text.
    """
    from processing import definitions

    monkeypatch.setattr(definitions, "builtin", _short_definitions)
    _bring_in()


@functools.cache
def _short_definitions() -> "list[PipelineDefinition]":
    from processing.pipelines import builtin

    return [
        replace(each, steps=each.steps[:3]) if each.name == "text" else each for each in builtin()
    ]


_synced: "list[PipelineVersion]" = []  # what `sync_builtin` made in an empty database


def _bring_in() -> None:
    """Do as `sync_builtin` does; where it has been done before, with the rows of that time."""
    from processing.definitions import sync_builtin
    from processing.models import Pipeline, PipelineVersion

    if Pipeline.objects.exists():
        sync_builtin()
        return
    if not _synced:
        sync_builtin()
        _synced.extend(PipelineVersion.objects.select_related("pipeline"))
        return
    versions = [copy.copy(version) for version in _synced]
    made = [copy.copy(version.pipeline) for version in versions]
    for row in (*versions, *made):
        row.pk = None
    for pipeline in made:
        pipeline.active_id = None
    Pipeline.objects.bulk_create(made)
    for version, pipeline in zip(versions, made, strict=True):
        version.pipeline = pipeline
    PipelineVersion.objects.bulk_create(versions)
    first = PipelineVersion.objects.filter(pipeline=OuterRef("pk"))
    Pipeline.objects.update(active=Subquery(first.values("pk")))


@pytest.fixture
def client_of(db: None) -> Callable[[Any], Any]:
    """Return an API client with a token of the given user, or without one for None."""
    from rest_framework.test import APIClient

    from config.accounts import tokens

    def client(user: Any) -> APIClient:
        api = APIClient(raise_request_exception=False)
        if user is not None:
            api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access}")
        return api

    return client
