"""The tables of threats: what they name as tests is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = sorted((ROOT / "docs").glob("intake-threats.md"))
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str]]:
    """Return the threat and the last cell of each row of each table."""
    lines = [line for table in TABLES for line in table.read_text().splitlines()]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [(row[0], row[-1]) for row in cells if row[0] != "threat" and set(row[0]) != {"-"}]


@pytest.mark.parametrize(("threat", "tests"), rows(), ids=lambda value: value[:40])
def test_each_threat_has_its_tests(threat: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert named, threat
    for path, beginning in named:
        text = (ROOT / path).read_text()
        assert re.search(rf"^def {beginning}", text, re.MULTILINE), f"{path}::{beginning}"


def test_there_are_tables() -> None:
    assert len(rows()) > 15
