"""One running installation for the tests of what it does."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for all, whose runs do not wait long for a worker that was killed."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "data", STRONGROOM_LEASE_S="6")
    try:
        stack.start()
        yield stack
    finally:
        stack.end()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """An installation for one test alone, not started yet."""
    stack = Stack(tmp_path / "data")
    try:
        yield stack
    finally:
        stack.end()


@pytest.fixture
def demo(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client("demo") as client:
        yield client
