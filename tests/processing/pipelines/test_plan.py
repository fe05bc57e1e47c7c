"""What of a graph runs, and what is skipped because of what."""

from typing import Any

import pytest

from processing.pipelines import Plan, Subject, parse

TEXT = Subject("text/plain", size=10, tags=("draft",))


def played(*steps: Any, fails: tuple[str, ...] = (), subject: Subject = TEXT) -> dict[str, str]:
    """Return what became of each step: `ran`, `failed`, or the cause of its skip."""
    definition = parse({"name": "x", "media_types": ["*/*"], "steps": list(steps)})
    plan = Plan(definition, subject)
    results: dict[str, Any] = {}
    ends: dict[str, str] = {}
    for place in definition.graph.order:
        name = definition.steps[place].name
        cause = plan.obstacle(place, results)
        ends[name] = cause or ("failed" if name in fails else "ran")
        if name in fails and not cause:
            plan.failed(place)
        elif not cause:
            results[name] = {"size": 10}
    return ends


def use(name: str, needs: str | None = None, when: str = "", step: str = "checksum") -> Any:
    data: dict[str, Any] = {"step": step, "name": name}
    if needs is not None:
        data["needs"] = needs.split()
    return data | ({"when": when} if when else {})


DIAMOND = (use("start"), use("left", "start"), use("right", "start"), use("join", "left right"))


@pytest.mark.parametrize(
    ("steps", "fails", "ends"),
    [
        ((use("a"), use("b"), use("c")), (), {"a": "ran", "b": "ran", "c": "ran"}),
        ((use("a"), use("b"), use("c")), ("a",), {"a": "failed", "b": "a", "c": "a"}),
        (DIAMOND, (), {"start": "ran", "left": "ran", "right": "ran", "join": "ran"}),
        (DIAMOND, ("left",), {"start": "ran", "left": "failed", "right": "ran", "join": "left"}),
        (DIAMOND, ("start",), {"start": "failed", "left": "start", "right": "start",
                               "join": "start"}),
        ((use("a"), use("b", "", step="thumbnail"), use("c")),
         (), {"a": "ran", "b": "media_type", "c": "ran"}),
        ((use("a"), use("b", when="size > 1 MiB"), use("c")),
         (), {"a": "ran", "b": "when", "c": "ran"}),
        ((use("a"), use("b", when="steps.a.size == 10 and 'draft' in tags")),
         (), {"a": "ran", "b": "ran"}),
        ((use("a", when="false"), use("b", "a"), use("c", "b"), use("d")),
         (), {"a": "when", "b": "a", "c": "b", "d": "ran"}),
        ((use("a"), use("b", "a", "false"), use("c", "a"), use("d", "b c")),
         (), {"a": "ran", "b": "when", "c": "ran", "d": "ran"}),
        ((use("a"), use("b", "a", "false"), use("c", "a"), use("d", "b c")),
         ("c",), {"a": "ran", "b": "when", "c": "failed", "d": "c"}),
    ],
)  # fmt: skip
def test_a_step_runs_unless_something_stands_in_its_way(
    steps: tuple[Any, ...], fails: tuple[str, ...], ends: dict[str, str]
) -> None:
    assert played(*steps, fails=fails) == ends
