"""Files held against a schema."""

from typing import Any

import pytest

from processing.pipelines import InvalidPipeline, parse
from processing.steps.contract import StepFailed
from processing.steps.validate import step
from tests.processing.steps.harness import run

PERSON: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer"}},
}
ROW: dict[str, Any] = {"properties": {"age": {"pattern": "^[0-9]+$"}}}


@pytest.mark.parametrize(
    ("content", "media_type", "schema", "places"),
    [
        (b'{"name": "Ann", "age": 3}', "application/json", PERSON, []),
        (b'{"name": "A", "age": "3"}', "application/json", PERSON, ["age", "name"]),
        (b'{"name": "Ann"', "application/json", {}, ["line 1, column 15"]),
        (b"[" * 100_000, "application/json", {}, [""]),
        ('{"name": "Ann"}'.encode("utf-16"), "application/json", PERSON, []),
        (b'{"name": "Ann"}\n{"name": "B"}\n', "application/x-ndjson", PERSON, ["row 3 name"]),
        (b"name,age\nAnn,3\nBob,x\nEve\n", "text/csv", ROW, ["row 3 age", "row 4"]),
        (b"<a><b/></a>", "application/xml", {}, []),
        (b"<a><b></a>", "application/xml", {}, ["line 1, column 9"]),
        (
            b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
            "application/xml",
            {},
            ["line 1, column 13"],
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_mistakes_are_named_by_their_places(
    content: bytes, media_type: str, schema: dict[str, Any], places: list[str]
) -> None:
    output = run(step, content, media_type, {"schema": schema}).output
    first: Any = output["first"]
    assert sorted(mistake["place"] for mistake in first) == places
    assert output["valid"] is not bool(places)
    assert output["mistakes"] == len(places)


def test_a_message_says_the_rule_and_not_the_value() -> None:
    output = run(step, b'{"name": "X"}', "application/json", {"schema": PERSON}).output
    assert output["first"] == [{"place": "name", "message": "It breaks the rule minLength: 2."}]


def test_mistakes_are_counted_beyond_those_that_are_named() -> None:
    rows = b"age,b\n" + b"x,1\n" * 200
    output = run(step, rows, "text/csv", {"schema": ROW}).output
    assert (output["mistakes"], len(output["first"])) == (200, 50)  # type: ignore[arg-type]


def test_what_must_be_valid_fails_if_it_is_not() -> None:
    chosen: dict[str, Any] = {"schema": PERSON, "must_be_valid": True}
    with pytest.raises(StepFailed) as failure:
        run(step, b"{}", "application/json", chosen)
    assert failure.value.code == "validate_invalid"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "no such type"}, "is no JSON Schema"),
        ({"properties": {"a": {"$ref": "https://example.org/s"}}}, "refers to another document"),
        ({"description": "x" * 200_000}, "has more than 100,000 characters"),
    ],
)
def test_a_pipeline_with_an_unfit_schema_is_refused(schema: dict[str, Any], message: str) -> None:
    use = {"step": "validate", "settings": {"schema": schema}}
    with pytest.raises(InvalidPipeline) as failure:
        parse({"name": "checked", "media_types": ["application/json"], "steps": [use]})
    assert message in str(failure.value.mistakes[0])
