"""The type detection step."""

import io

import pytest

from processing.steps.media_type import step
from tests.processing.steps.harness import Unlikely, run


def test_it_says_what_the_content_is() -> None:
    output = run(step, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\0\1\2", "application/pdf").output
    assert output["media_type"] == "application/pdf"
    assert output["agrees"] is True
    assert str(output["description"]).startswith("PDF document")
    assert output["encoding"] == "binary"


@pytest.mark.parametrize(
    ("accepted", "agrees"),
    [("text/plain", True), ("TEXT/Plain; charset=utf-8", True), ("image/png", False)],
)
def test_it_compares_with_the_accepted_type(accepted: str, agrees: bool) -> None:
    output = run(step, "Grüße\n".encode(), accepted).output
    assert output["media_type"] == "text/plain"
    assert output["accepted"] == accepted.partition(";")[0].lower()
    assert output["agrees"] is agrees
    assert output["encoding"] == "utf-8"


def test_it_reads_only_the_ends() -> None:
    content = Unlikely(b"line of text\n" * 200_000)
    run(step, io.BufferedReader(content), "text/plain")
    assert content.bytes_read <= 4 * 64 * 1024
