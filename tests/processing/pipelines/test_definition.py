"""Pipelines made from data."""

import datetime
from typing import Any

import pytest
import yaml

from processing.pipelines import InvalidPipeline, Mistake, builtin, parse
from processing.steps.contract import matches
from processing.steps.lines.processors import PROCESSORS
from processing.steps.registry import REGISTRY

GOOD: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "media_types": ["text/*", "application/json"],
    "steps": [
        "checksum",
        {"step": "thumbnail", "name": "small", "settings": {"side": 64}, "timeout_s": 5},
        {"step": "lines", "max_attempts": 3},
    ],
}


def with_steps(*steps: Any) -> dict[str, Any]:
    return {**GOOD, "steps": list(steps)}


def test_parse_reads_names_settings_and_limits() -> None:
    definition = parse(GOOD)
    assert (definition.name, definition.title) == ("mine", "Mine")
    assert definition.media_types == ("text/*", "application/json")
    assert [use.name for use in definition.steps] == ["checksum", "small", "lines"]
    assert [use.step for use in definition.steps] == ["checksum", "thumbnail", "lines"]
    assert definition.steps[1].settings == {"side": 64}
    assert (definition.steps[1].timeout_s, definition.steps[1].max_attempts) == (5.0, 1)
    assert (definition.steps[2].timeout_s, definition.steps[2].max_attempts) == (None, 3)


def test_a_step_may_come_twice_under_two_names() -> None:
    steps = parse(with_steps("lines", {"step": "lines", "name": "again"})).steps
    assert [(use.name, use.step) for use in steps] == [("lines", "lines"), ("again", "lines")]


def test_the_title_is_the_name_where_there_is_none() -> None:
    data = {key: value for key, value in GOOD.items() if key != "title"}
    assert parse(data).title == "mine"


def test_to_data_and_parse_undo_each_other() -> None:
    definition = parse(GOOD)
    assert parse(definition.to_data()) == definition
    assert parse(yaml.safe_load(yaml.safe_dump(definition.to_data()))) == definition


def test_the_digest_depends_on_meaning_and_not_on_the_order_of_keys() -> None:
    digest = parse(GOOD).digest
    assert len(digest) == 64
    assert parse(dict(reversed(GOOD.items()))).digest == digest
    assert parse(parse(GOOD).to_data()).digest == digest
    assert parse({**GOOD, "title": "Other"}).digest != digest
    assert parse({**GOOD, "steps": list(reversed(GOOD["steps"]))}).digest != digest


def test_the_digest_of_a_definition_never_changes() -> None:
    known = "5b57ec32d4bc9857be287ed5585985a0d72aaa47d573034d9d0a3228c9ac8ed3"
    assert parse(GOOD).digest == known


NAME_RULE = "must start with a-z and have at most 40 of a-z, 0-9, '_' and '-'."
MEDIA_TYPE_RULE = "must be a media type in lower case, such as text/csv, text/* or */*."
STEPS = ", ".join(REGISTRY)
KEYS = "name, title, media_types, owners, folders, tags, steps"
STEP_KEYS = "name, step, needs, when, reads, settings, timeout_s, max_attempts"
NEEDS_RULE = "must be a list of names of steps of this pipeline; [] needs none."
LABEL_RULE = "must be a text of 1 to 150 characters; * stands for any of them."
TIMEOUT_RULE = "steps[0].timeout_s: must be a number of seconds, above 0 and at most 21600."
ATTEMPTS_RULE = "steps[0].max_attempts: must be a whole number from 1 to 10."
ROUTE = "steps[0].settings.routes.start"
EXTRA = "Additional properties are not allowed"


def start_route(route: dict[str, Any]) -> dict[str, Any]:
    return with_steps({"step": "lines", "settings": {"routes": {"start": route}}})


def needing(needs: Any) -> dict[str, Any]:
    return with_steps("checksum", {"step": "lines", "needs": needs})


def when(condition: Any) -> dict[str, Any]:
    return with_steps({"step": "checksum", "when": condition})


CONDITION_RULE = 'must be a condition, such as: size < 5 MiB and "draft" in tags'


@pytest.mark.parametrize(
    ("data", "mistake"),
    [
        (None, f"must be a mapping with the keys {KEYS}."),
        ([], f"must be a mapping with the keys {KEYS}."),
        ({**GOOD, "nmae": 1}, f"nmae: is not a known key; known are {KEYS}."),
        ({**GOOD, "name": None}, "name: is missing."),
        ({**GOOD, "name": "No Name"}, f"name: {NAME_RULE}"),
        ({**GOOD, "name": "x" * 41}, f"name: {NAME_RULE}"),
        ({**GOOD, "name": 7}, f"name: {NAME_RULE}"),
        ({**GOOD, "title": ""}, "title: must be a text of 1 to 100 characters."),
        ({**GOOD, "title": ["x"]}, "title: must be a text of 1 to 100 characters."),
        ({**GOOD, "media_types": None}, "media_types: is missing."),
        ({**GOOD, "media_types": []}, "media_types: must be a list of 1 to 50 entries."),
        ({**GOOD, "media_types": "text/*"}, "media_types: must be a list of 1 to 50 entries."),
        ({**GOOD, "media_types": ["text/*", "Text/CSV"]}, f"media_types[1]: {MEDIA_TYPE_RULE}"),
        ({**GOOD, "media_types": ["*/csv"]}, f"media_types[0]: {MEDIA_TYPE_RULE}"),
        ({**GOOD, "media_types": [1]}, f"media_types[0]: {MEDIA_TYPE_RULE}"),
        ({**GOOD, "steps": None}, "steps: is missing."),
        ({**GOOD, "steps": []}, "steps: must be a list of 1 to 50 entries."),
        (with_steps(*["checksum"] * 51), "steps: must be a list of 1 to 50 entries."),
        (with_steps(7), f"steps[0]: must be a mapping with the keys {STEP_KEYS}."),
        (with_steps("checksum", {"name": "x"}), "steps[1].step: is missing."),
        (with_steps("nope"), f"steps[0].step: there is no step 'nope'; there is {STEPS}."),
        (
            with_steps({"step": ["checksum"]}),
            f"steps[0].step: there is no step ['checksum']; there is {STEPS}.",
        ),
        (
            with_steps("lines", "checksum", "checksum"),
            "steps[2].name: 'checksum' is the name of steps[1].",
        ),
        (with_steps({"step": "checksum", "name": "A"}), f"steps[0].name: {NAME_RULE}"),
        (
            with_steps({"step": "checksum", "whne": 1}),
            f"steps[0].whne: is not a known key; known are {STEP_KEYS}.",
        ),
        (
            with_steps({"step": "checksum", "settings": {"a": 1}}),
            "steps[0].settings: must be empty: this step has no settings.",
        ),
        (
            with_steps({"step": "checksum", "settings": [1]}),
            "steps[0].settings: [1] is not of type 'object'.",
        ),
        (
            with_steps({"step": "thumbnail", "settings": {"side": 3}}),
            "steps[0].settings.side: 3 is less than the minimum of 16.",
        ),
        (
            with_steps({"step": "thumbnail", "settings": {"sid": 3}}),
            f"steps[0].settings: {EXTRA} ('sid' was unexpected).",
        ),
        (start_route({"to": "x"}), f"{ROUTE}.to: names the route 'x', which there is not."),
        (
            start_route({"through": ["trim", "shout"]}),
            f"{ROUTE}.through[1]: 'shout' is not one of {[*PROCESSORS]}.",
        ),
        (
            start_route({"through": [{"use": "tag", "rule": []}]}),
            f"{ROUTE}.through[0]: {EXTRA} ('rule' was unexpected).",
        ),
        (
            with_steps({"step": "lines", "settings": {"routes": {"end": {}}}}),
            "steps[0].settings.routes: 'start' is a required property.",
        ),
        (
            with_steps({"step": "lines", "settings": {"max_hops": datetime.date(2024, 1, 1)}}),
            "steps[0].settings: must be what JSON can say.",
        ),
        (
            with_steps({"step": "lines", "settings": {"max_hops": float("nan")}}),
            "steps[0].settings: must be what JSON can say.",
        ),
        ({**GOOD, "tags": []}, "tags: must be a list of 1 to 50 entries."),
        ({**GOOD, "tags": ["ok", 3]}, f"tags[1]: {LABEL_RULE}"),
        ({**GOOD, "owners": [""]}, f"owners[0]: {LABEL_RULE}"),
        ({**GOOD, "folders": "in"}, "folders: must be a list of 1 to 50 entries."),
        (needing("checksum"), f"steps[1].needs: {NEEDS_RULE}"),
        (needing([1]), "steps[1].needs[0]: must be the name of a step of this pipeline."),
        (
            needing(["checksum", "checksum"]),
            "steps[1].needs[1]: 'checksum' is named twice.",
        ),
        (
            needing(["checkum"]),
            "steps[1].needs[0]: there is no step 'checkum' in this pipeline; "
            "there is checksum, lines.",
        ),
        (needing(["lines"]), "steps[1].needs: steps wait for each other: lines -> lines."),
        (
            with_steps({"step": "checksum", "needs": ["lines"]}, {"step": "lines"}),
            "steps[1].needs: steps wait for each other: checksum -> lines -> checksum.",
        ),
        (
            with_steps(
                {"step": "checksum", "needs": ["media_type"]},
                {"step": "lines", "needs": ["checksum"]},
                {"step": "media_type", "needs": ["lines"]},
            ),
            "steps[1].needs: steps wait for each other: "
            "checksum -> lines -> media_type -> checksum.",
        ),
        (when(7), f"steps[0].when: {CONDITION_RULE}"),
        (when(""), f"steps[0].when: {CONDITION_RULE}"),
        (when("size <"), "steps[0].when: column 7: expected a value, not the end."),
        (
            when("colour == 1"),
            "steps[0].when: column 1: there is no 'colour'; there is "
            "media_type, size, door, folder, owner, tags, steps.",
        ),
        (
            when("steps.lines.lines > 1"),
            "steps[0].when: looks at 'lines', which 'checksum' does not wait for; "
            "before it come: none.",
        ),
        (
            with_steps({"step": "checksum"}, {"step": "lines", "needs": [], "reads": "checksum"}),
            "steps[1].reads: looks at 'checksum', which 'lines' does not wait for; "
            "before it come: none.",
        ),
        (
            with_steps({"step": "checksum"}, {"step": "members", "reads": "checksum"}),
            "steps[1].reads: 'members' reads the file itself.",
        ),
        (with_steps({"step": "lines", "timeout_s": 0}), TIMEOUT_RULE),
        (with_steps({"step": "lines", "timeout_s": float("nan")}), TIMEOUT_RULE),
        (with_steps({"step": "lines", "timeout_s": True}), TIMEOUT_RULE),
        (with_steps({"step": "lines", "timeout_s": "5"}), TIMEOUT_RULE),
        (with_steps({"step": "lines", "max_attempts": 0}), ATTEMPTS_RULE),
        (with_steps({"step": "lines", "max_attempts": 11}), ATTEMPTS_RULE),
        (with_steps({"step": "lines", "max_attempts": True}), ATTEMPTS_RULE),
    ],
)
def test_parse_refuses(data: Any, mistake: str) -> None:
    with pytest.raises(InvalidPipeline) as refusal:
        parse(data)
    assert mistake in [str(found) for found in refusal.value.mistakes]


def test_a_graph_with_conditions_and_labels_is_kept_whole() -> None:
    data = {
        **GOOD,
        "owners": ["olive"],
        "folders": ["in/*"],
        "tags": ["draft"],
        "steps": [
            {"step": "lines", "needs": ["media_type", "checksum"], "when": "size < 1 MiB"},
            {"step": "checksum", "needs": []},
            "media_type",
        ],
    }
    definition = parse(data)
    assert (definition.owners, definition.folders, definition.tags) == (
        ("olive",), ("in/*",), ("draft",),
    )  # fmt: skip
    assert [use.needs for use in definition.steps] == [("media_type", "checksum"), (), None]
    assert definition.steps[0].when == "size < 1 MiB"
    assert definition.graph.order == (1, 2, 0)
    assert parse(definition.to_data()) == definition


def test_a_loop_in_yaml_is_a_mistake() -> None:
    data = yaml.safe_load("&loop {routes: *loop}")
    with pytest.raises(InvalidPipeline):
        parse(with_steps({"step": "lines", "settings": data}))


def test_all_mistakes_are_found_at_once_and_nothing_else() -> None:
    with pytest.raises(InvalidPipeline) as refusal:
        parse({"name": "X", "media_types": ["no"], "steps": ["nope", {"step": "checksum", "x": 1}]})
    keys = [mistake.key for mistake in refusal.value.mistakes]
    assert keys == ["name", "media_types[0]", "steps[0].step", "steps[1].x"]


def test_a_refusal_can_be_shown_to_strangers_without_its_mistakes() -> None:
    refusal = InvalidPipeline([Mistake("name", "is missing.")])
    assert (refusal.code, refusal.status) == ("pipeline_invalid", 422)
    assert str(refusal) == "The pipeline definition has mistakes."


@pytest.mark.parametrize("definition", builtin(), ids=lambda definition: definition.name)
def test_every_step_of_a_built_in_pipeline_reads_some_of_its_files(definition: Any) -> None:
    for use in definition.steps:
        step = REGISTRY[use.step]
        shared = [
            (ours, theirs)
            for ours in definition.media_types
            for theirs in step.media_types
            if matches("text/plain" if use.reads else ours, theirs) or matches(theirs, ours)
        ]
        assert shared, use.step
