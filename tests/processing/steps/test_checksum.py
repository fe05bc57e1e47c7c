"""The checksum step."""

import hashlib

import pytest

from processing.steps.checksum import step
from tests.processing.steps.harness import run


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 9000])
def test_it_gives_digest_and_size_of_all_bytes(content: bytes) -> None:
    assert run(step, content).output == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
