"""What a step says about itself."""

import pytest

from processing.steps.contract import Step, matches


@pytest.mark.parametrize(
    ("pattern", "media_type", "fits"),
    [
        ("*/*", "anything/at-all", True),
        ("text/*", "text/csv", True),
        ("text/*", "TEXT/CSV; charset=utf-8", True),
        ("text/*", "textual/csv", False),
        ("text/*", "application/text", False),
        ("text/csv", "text/csv", True),
        ("text/csv", "text/csv;header=present", True),
        ("text/csv", "text/csv-schema", False),
        ("text/csv", "text/plain", False),
    ],
)
def test_a_pattern_names_media_types(pattern: str, media_type: str, fits: bool) -> None:
    assert matches(pattern, media_type) is fits


def test_a_step_reads_what_one_of_its_patterns_names() -> None:
    step = Step("some", lambda _context: {}, title="Some", media_types=("text/*", "image/png"))
    assert step.reads("image/png")
    assert not step.reads("image/gif")
