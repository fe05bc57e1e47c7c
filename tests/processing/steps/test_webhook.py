"""The part of the webhook step that runs in the sandbox; the worker's is in tests/…/webhooks."""

import pytest

from processing.pipelines import InvalidPipeline, parse
from processing.steps.webhook import step
from tests.processing.steps.harness import run


def test_it_says_whom_it_is_about_and_reads_nothing() -> None:
    result = run(step, b"content", "text/plain", {"endpoint": "books", "label": "scanned"})
    assert result.output == {"endpoint": "books"}
    assert run(step, b"content").output == {"endpoint": "default"}


@pytest.mark.parametrize(
    "given",
    [{"endpoint": "no spaces"}, {"endpoint": "a", "url": "https://x/"}, {"endpoint": ""}],
)
def test_a_pipeline_names_an_endpoint_and_no_address(given: dict[str, str]) -> None:
    data = {
        "name": "tell", "title": "Tell", "media_types": ["*/*"],
        "steps": [{"step": "webhook", "settings": given}],
    }  # fmt: skip
    with pytest.raises(InvalidPipeline):
        parse(data)
