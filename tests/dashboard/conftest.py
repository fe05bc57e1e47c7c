"""Signed-in browsers without a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

BACKEND = "django.contrib.auth.backends.ModelBackend"

Visit = Callable[[Any], Client]


@pytest.fixture
def visit(db: None) -> Visit:
    """Return a client that is signed in as the given user, or as nobody for None."""

    def client(user: Any, **options: Any) -> Client:
        visitor = Client(**options)
        if user is not None:
            visitor.force_login(user, backend=BACKEND)
        return visitor

    return client
