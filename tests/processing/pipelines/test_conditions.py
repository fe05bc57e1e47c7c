"""The language of `when:`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.pipelines.conditions import BadCondition, read

FACTS: dict[str, Any] = {
    "media_type": "text/csv",
    "size": 5 * 1024 * 1024,
    "door": "api",
    "folder": "in/may",
    "owner": "olive",
    "tags": ["draft", "bulk"],
    "steps": {
        "csv_profile": {"rows": 1200, "columns": [{"name": "price"}], "header": True},
        "my-step": {"0": "zero", "ratio": 0.5, "nothing": None, "text": "10"},
    },
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('media_type == "text/csv"', True),
        ("media_type == 'text/csv'", True),
        ('media_type != "text/csv"', False),
        ('media_type like "text/*"', True),
        ('media_type like "TEXT/*"', False),
        ("size == 5 MiB", True),
        ("size > 5 MiB", False),
        ("size >= 5120 KiB", True),
        ("size < 1 GiB", True),
        ("size < 5242881 B", True),
        ('"draft" in tags', True),
        ('"final" in tags', False),
        ('not "final" in tags', True),
        ("not not size", True),
        ('"may" in folder', True),
        ('media_type in ["text/csv", "text/plain"]', True),
        ("media_type in []", False),
        ("steps.csv_profile.rows > 1000", True),
        ("steps.csv_profile.rows > -1.5", True),
        ("steps.csv_profile.header", True),
        ("steps.csv_profile.header == true", True),
        ("steps.csv_profile.header == 1", False),
        ('steps.csv_profile.columns.0.name == "price"', True),
        ("steps.csv_profile.columns.7.name == null", True),
        ("steps.csv_profile.rows.deeper == null", True),
        ('"rows" in steps.csv_profile', True),
        ('steps.my-step."0" == "zero"', True),
        ("steps.my-step.ratio < 1", True),
        ("steps.my-step.nothing == null", True),
        ("steps.my-step.text > 5", False),
        ("steps.my-step.nothing < 5", False),
        ("steps.skipped.anything > 5", False),
        ("steps.skipped.anything == null", True),
        ('owner == "olive" and door == "api" and size > 1', True),
        ("false and false or true", True),
        ("false and (false or true)", False),
        ("true or false and false", True),
        ("not false and true", True),
        ("tags", True),
        ("null", False),
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool) -> None:
    assert read(text).holds(FACTS) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected a value, not the end."),
        ("size >", "column 7: expected a value, not the end."),
        ("size > 5 size", "column 10: expected 'and', 'or' or the end, not 'size'."),
        ("size = 5", "column 6: '=' has no meaning here."),
        ("1 < 2 < 3", "column 7: expected 'and', 'or' or the end, not '<'."),
        ("(size > 5", "column 10: expected ')', not the end."),
        ('["a" "b"]', "column 6: expected ',', not 'b'."),
        ('"never closed', "column 1: '\"' has no meaning here."),
        ("and true", "column 1: expected a value, not 'and'."),
        ("steps", "column 1: expected steps.NAME."),
        ("steps.(", "column 7: expected a name after '.'."),
        ("__import__('os')", "column 1: there is no '__import__'; there is media_type, size, door, "
                             "folder, owner, tags, steps."),
        ("size.__class__()", "column 15: expected 'and', 'or' or the end, not '('."),
        ("(" * 51 + "1" + ")" * 51, "is nested more than 50 deep."),
        ("[" * 900, "is nested more than 50 deep."),
        ("not " * 60 + "true", "is nested more than 50 deep."),
        ("1" * 1001, "has more than 1000 characters."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(BadCondition) as refusal:
        read(text)
    assert str(refusal.value) == message


def test_attributes_of_objects_are_out_of_reach() -> None:
    assert read("size.real == null and media_type.__class__ == null").holds(FACTS)


def test_a_condition_says_which_steps_it_looks_at() -> None:
    text = "steps.a.x > 1 and (steps.b-c.y or size > 1)"
    assert read(text).steps == {"a", "b-c"}


WORDS = st.sampled_from(
    [*"()[],.<>", "==", "!=", "in", "like", "and", "or", "not", "size", "tags", "steps", "steps.a",
     "true", "null", "7", "-1.5", "2 MiB", '"x"', " "]
)  # fmt: skip


@given(st.lists(WORDS, max_size=25), st.sampled_from([FACTS, {}]))
def test_any_text_is_refused_or_has_an_answer(words: list[str], facts: dict[str, Any]) -> None:
    try:
        condition = read(" ".join(words))
    except BadCondition:
        return
    assert condition.holds(facts) in {True, False}
