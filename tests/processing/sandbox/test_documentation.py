"""The table of what is asked of the sandbox names tests that there are."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "sandbox.md"
NAMED = re.compile(r"`([\w./]+\.py)::(\w+)`")


def rows() -> list[str]:
    section = PAGE.read_text("utf-8").partition("## What is asked of it")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def test_there_is_a_row_for_each_item() -> None:
    assert len(rows()) == 26


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_item_has_its_test_or_its_reason(row: str) -> None:
    last = row.strip("|").split(" | ")[-1].strip()
    tests = NAMED.findall(last)
    assert tests or last.startswith("There is no ")
    for path, test in tests:
        assert re.search(rf"^def {test}", (HERE / path).read_text("utf-8"), re.MULTILINE), test
