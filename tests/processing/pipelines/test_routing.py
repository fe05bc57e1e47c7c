"""Which pipeline a file goes through."""

import itertools

import pytest

from processing.pipelines import PipelineDefinition, StepUse, Subject, builtin, is_for, route

STEPS = (StepUse("checksum", "checksum"),)


def made(name: str, *media_types: str, **labels: tuple[str, ...]) -> PipelineDefinition:
    return PipelineDefinition(name, name, media_types, STEPS, **labels)


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("text/plain", "text"),
        ("text/html; charset=utf-8", "office"),
        ("text/csv", "table"),
        ("TEXT/CSV", "table"),
        ("text/tab-separated-values", "table"),
        ("application/pdf", "document"),
        ("image/png", "image"),
        ("image/svg+xml", "image"),
        ("application/zip", "archive"),
        ("message/rfc822", "mail"),
        ("video/mp4", "media"),
        ("application/x-ndjson", "records"),
        ("application/vnd.ms-excel.sheet.macroenabled.12", "workbook"),
        ("application/octet-stream", "any"),
        ("", "any"),
    ],
)
def test_the_built_in_pipelines_share_out_all_files(media_type: str, name: str) -> None:
    chosen = route(Subject(media_type), builtin())
    assert chosen is not None
    assert chosen.name == name


def test_the_closest_pattern_wins_in_whatever_order_they_come() -> None:
    definitions = [made("all", "*/*"), made("kind", "text/*", "*/*"), made("exact", "text/csv")]
    for order in itertools.permutations(definitions):
        assert route(Subject("text/csv"), order) == definitions[2]
        assert route(Subject("text/x"), order) == definitions[1]
        assert route(Subject("a/b"), order) == definitions[0]


def test_among_equals_the_first_name_wins() -> None:
    for order in itertools.permutations([made("b", "text/*"), made("a", "text/*")]):
        chosen = route(Subject("text/x"), order)
        assert chosen is not None
        assert chosen.name == "a"


def test_there_may_be_no_pipeline() -> None:
    assert route(Subject("image/png"), [made("text", "text/*")]) is None


def test_the_built_in_pipelines_are_these() -> None:
    assert [definition.name for definition in builtin()] == [
        "any", "archive", "document", "image", "mail", "media", "office", "records", "table",
        "text", "workbook",
    ]  # fmt: skip


FILE = Subject("text/csv", owner="olive", folder="in/may", tags=("draft", "bulk"))
BY_OWNER = made("z-owner", "*/*", owners=("olive",))
BY_FOLDER = made("y-folder", "*/*", folders=("in/*",))
BY_TAG = made("x-tag", "*/*", tags=("bulk",))
BY_TYPE = made("a-type", "text/csv")


def test_the_owner_weighs_more_than_the_folder_that_more_than_a_tag_that_more_than_the_type() -> (
    None
):
    left = [BY_OWNER, BY_FOLDER, BY_TAG, BY_TYPE]
    while left:
        for order in itertools.permutations(left):
            assert route(FILE, order) is left[0]
        left.pop(0)


def test_the_owner_and_a_tag_weigh_more_than_the_owner_and_the_exact_type() -> None:
    both = made("b", "*/*", owners=("olive",), tags=("bulk",))
    assert route(FILE, [made("a", "text/csv", owners=("olive",)), both]) is both


@pytest.mark.parametrize(
    "definition",
    [
        made("a", "text/csv", owners=("sam",)),
        made("a", "text/csv", folders=("in", "out/*")),
        made("a", "text/csv", tags=("final",)),
        made("a", "image/*", owners=("olive",), folders=("in/*",), tags=("bulk",)),
    ],
    ids=["another owner", "another folder", "another tag", "another type"],
)
def test_every_condition_must_be_met(definition: PipelineDefinition) -> None:
    assert route(FILE, [definition]) is None


def test_a_pipeline_of_some_owners_is_for_nobody_else() -> None:
    assert is_for(BY_OWNER, owner="olive")
    assert not is_for(BY_OWNER, owner="olive2")
    assert is_for(BY_TAG, owner="anybody")


def test_texts_and_documents_can_be_found_by_their_words() -> None:
    steps = {each.name: [use.step for use in each.steps] for each in builtin()}
    for name in ("text", "document", "office", "workbook", "mail"):
        assert steps[name][-2:] == ["personal_data", "search_terms"]
