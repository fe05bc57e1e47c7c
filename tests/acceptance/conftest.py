"""One running installation for the tests of what it does."""

import shutil
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
def own_stack(tmp_path: Path, prepared: Path) -> Iterator[Stack]:
    """An installation for one test alone, prepared but not started."""
    shutil.copytree(prepared, tmp_path / "data")
    yield from _until_the_end(Stack(tmp_path / "data"))


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Stack]:
    """An installation for one test alone, of which there is nothing yet."""
    yield from _until_the_end(Stack(tmp_path / "data"))


def _until_the_end(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        stack.end()


@pytest.fixture
def demo(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client("demo") as client:
        yield client
