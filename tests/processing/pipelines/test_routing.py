"""Which pipeline a file goes through."""

import itertools

import pytest

from processing.pipelines import PipelineDefinition, StepUse, builtin, route


def made(name: str, *media_types: str) -> PipelineDefinition:
    return PipelineDefinition(name, name, media_types, (StepUse("checksum", "checksum"),))


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("text/plain", "text"),
        ("text/html; charset=utf-8", "text"),
        ("text/csv", "table"),
        ("TEXT/CSV", "table"),
        ("text/tab-separated-values", "table"),
        ("application/pdf", "document"),
        ("image/png", "image"),
        ("image/svg+xml", "image"),
        ("application/zip", "archive"),
        ("message/rfc822", "archive"),
        ("application/octet-stream", "any"),
        ("", "any"),
    ],
)
def test_the_built_in_pipelines_share_out_all_files(media_type: str, name: str) -> None:
    chosen = route(media_type, builtin())
    assert chosen is not None
    assert chosen.name == name


def test_the_closest_pattern_wins_in_whatever_order_they_come() -> None:
    definitions = [made("all", "*/*"), made("kind", "text/*", "*/*"), made("exact", "text/csv")]
    for order in itertools.permutations(definitions):
        assert route("text/csv", order) == definitions[2]
        assert route("text/x", order) == definitions[1]
        assert route("a/b", order) == definitions[0]


def test_among_equals_the_first_name_wins() -> None:
    for order in itertools.permutations([made("b", "text/*"), made("a", "text/*")]):
        chosen = route("text/x", order)
        assert chosen is not None
        assert chosen.name == "a"


def test_there_may_be_no_pipeline() -> None:
    assert route("image/png", [made("text", "text/*")]) is None


def test_the_built_in_pipelines_are_these() -> None:
    assert [definition.name for definition in builtin()] == [
        "any", "archive", "document", "image", "table", "text",
    ]  # fmt: skip
