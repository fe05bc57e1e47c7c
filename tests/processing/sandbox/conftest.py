from collections.abc import Iterator

import pytest

from processing.sandbox import Sandbox, Session
from tests.processing.sandbox.cast import CONTENT, HOSTILE
from tests.source import BytesSource


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    if not Sandbox.support().complete:
        pytest.skip("this kernel has no Landlock or no seccomp")
    with Sandbox(registry=HOSTILE) as sandbox:
        yield sandbox


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[Session]:
    with sandbox.open(BytesSource(CONTENT), "text/plain") as session:
        yield session
