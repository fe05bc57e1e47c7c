"""The site before an edge, with limits that a test can wait for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from config.edge.app import Edge
from tests.config.edge import site

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.RequestIdMiddleware",
    "django.middleware.common.CommonMiddleware",
    "tests.config.edge.site.Replacing",
]


@pytest.fixture(autouse=True)
def _fresh_site(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.config.edge.site"
    settings.MIDDLEWARE = MIDDLEWARE
    settings.ALLOWED_HOSTS = ["*"]
    settings.STATIC_ROOT = None
    settings.CSRF_COOKIE_NAME = "csrftoken"
    settings.EDGE = {}
    for record in (
        site.Recorder.journal,
        site.Recorder.begun,
        site.Recorder.sizes,
        site.Source.closed,
    ):
        record.clear()
    site.Source.reads.clear()
    site.Recorder.threads.clear()
    site.FEED.__init__()  # type: ignore[misc]
    site.ALLOWED.clear()


@pytest.fixture
def make_edge(settings: Any) -> Iterator[Callable[..., Edge]]:
    """Return a function that builds an edge with the given limits."""
    made: list[Edge] = []

    def make(**limits: float) -> Edge:
        settings.EDGE = {name.upper(): value for name, value in limits.items()}
        made.append(Edge(WSGIHandler()))
        return made[-1]

    yield make
    for edge in made:
        edge._pools.close()


@pytest.fixture
def edge(make_edge: Callable[..., Edge]) -> Edge:
    return make_edge()
