"""What differs between two results."""

from typing import Any

import pytest

from processing.differences import Difference, Made, differences, names_of


def made(step: str = "checksum", artifacts: dict[str, str] | None = None, **output: Any) -> Made:
    return Made(step, output, artifacts or {})


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {}, []),
        ({"a": made(x=1)}, {"a": made(x=1)}, []),
        ({"a": made(x=1)}, {"a": made(x=2)}, [("a", "x", "1", "2")]),
        ({"a": made(x=1)}, {"a": made()}, [("a", "x", "1", None)]),
        ({"a": made(x=True)}, {"a": made(x=1)}, [("a", "x", "True", "1")]),
        ({"a": made(x=None)}, {"a": made()}, [("a", "x", "None", None)]),
        ({"a": made(x={"y": [1, 2]})}, {"a": made(x={"y": [1, 3, 4]})},
         [("a", "x.y[1]", "2", "3"), ("a", "x.y[2]", None, "4")]),
        ({"a": made(x="s" * 301)}, {"a": made(x="t")}, [("a", "x", "s" * 300 + "…", "t")]),
        ({"a": made()}, {}, [("a", "step", "made", None)]),
        ({}, {"a": made()}, [("a", "step", None, "made")]),
        ({"a": made(artifacts={"f": "1", "g": "2"})}, {"a": made(artifacts={"f": "1", "g": "3"})},
         [("a", "artifact g", "2", "3")]),
        ({"a": made("lines", ms=1, lines=5)}, {"a": made("lines", ms=2, lines=5)}, []),
        ({"a": made("lines", processors=[{"ms": 1}])}, {"a": made("lines", processors=[{"ms": 2}])},
         []),
        ({"a": made("checksum", ms=1)}, {"a": made("checksum", ms=2)}, [("a", "ms", "1", "2")]),
    ],
)  # fmt: skip
def test_values_that_differ_are_found(
    before: dict[str, Made], after: dict[str, Made], found: list[tuple[Any, ...]]
) -> None:
    assert differences(before, after) == [Difference(*each) for each in found]


def test_names_say_which_steps_and_artifacts_differ_and_nothing_of_their_content() -> None:
    before = {"a": made(secret="x", other=1), "b": made(artifacts={"f.txt": "1"})}
    after = {"a": made(secret="y", other=2), "b": made(artifacts={"f.txt": "2"})}
    assert names_of(differences(before, after)) == ["a", "b: f.txt"]


def test_only_so_many_are_kept() -> None:
    assert len(differences({"a": made(x=[1] * 500)}, {"a": made(x=[2] * 500)})) == 200
