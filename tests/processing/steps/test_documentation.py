"""What the pages about steps show works."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from processing.pipelines import parse
from processing.steps import registry
from processing.steps.contract import Step
from processing.steps.lines.processors import OPTIONS
from processing.steps.lines.settings import EXAMPLE_ROUTES
from tests.processing.steps.corpus import ROOT
from tests.processing.steps.harness import run


def blocks(page: str, language: str) -> Iterator[str]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    yield from found


@pytest.mark.parametrize("page", ["lines.md", "adding-a-step.md"])
def test_every_pipeline_in_the_documentation_is_valid(page: str) -> None:
    for block in blocks(page, "yaml"):
        assert parse(yaml.safe_load(block)).steps


def test_the_pipeline_of_the_page_about_lines_routes_like_the_example() -> None:
    (block,) = blocks("lines.md", "yaml")
    use = parse(yaml.safe_load(block)).steps[1]
    routes: Any = use.settings["routes"]
    assert list(routes) == list(EXAMPLE_ROUTES)
    result = run(
        registry.get(use.step), b" an Error\nWarnings!\nAll fine\n", "text/plain", use.settings
    )
    assert result.text("lines.txt").splitlines() == [
        "     1 [errors] an Error",
        "     2 [warnings] Warnings!",
        "     3 [general] ALL_FINE",
    ]


def test_every_line_processor_and_option_is_documented() -> None:
    text = (ROOT / "docs/lines.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", text, re.MULTILINE))
    assert sorted(rows) == sorted(OPTIONS)
    for name, options in OPTIONS.items():
        assert [option for option in options if f"`{option}`" not in rows[name]] == []


def test_the_step_that_the_guide_writes_works() -> None:
    (code,) = blocks("adding-a-step.md", "python")
    scope: dict[str, Any] = {}
    exec(compile(code, "word_count.py", "exec"), scope)
    step: Step = scope["step"]
    assert run(step, b"one two\nthree\n\n four", "text/plain").output == {"words": 4, "long": True}
    assert run(step, b"ab " * 700_000, "text/plain").output["words"] == 700_000


def test_the_table_of_steps_says_what_their_limits_are() -> None:
    text = (Path(ROOT) / "docs/steps.md").read_text("utf-8")
    for name, step in registry.REGISTRY.items():
        row = re.search(
            rf"^\| `{name}` \|.*\| (\d+) min \| (\d+) (MiB|GiB) \|$", text, re.MULTILINE
        )
        assert row, name
        assert int(row[1]) * 60 == step.limits.wall_s
        unit = {"MiB": 2**20, "GiB": 2**30}[row[3]]
        assert int(row[2]) * unit == step.limits.memory_bytes
