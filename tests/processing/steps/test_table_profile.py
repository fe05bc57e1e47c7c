"""Profiles of tables that are no text."""

import io
import json
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from processing.steps.contract import Output, StepFailed
from processing.steps.table_profile import step
from processing.steps.tables import JSON_LINES, PARQUET, XLSX
from tests.processing.steps.harness import run
from tests.processing.steps.test_document_text import workbook
from uploads.media_types import detect


def columns(output: Output) -> dict[str, Any]:
    found: Any = output["columns"]
    return {facts["name"]: facts for facts in found}


def parquet(**values: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(values), file)
    return file.getvalue()


ROWS = (
    '<row r="1"><c t="inlineStr"><is><t>name</t></is></c>'
    '<c t="inlineStr"><is><t>n</t></is></c></row>'
    '<row r="2"><c t="inlineStr"><is><t>a</t></is></c><c><v>1</v></c></row>'
    '<row r="3"><c r="B3"><v>3</v></c></row>'
)


def test_a_sheet_is_profiled_by_its_first_row() -> None:
    output = run(step, workbook(ROWS), XLSX[0]).output
    assert (output["format"], output["sheet"], output["rows"]) == ("xlsx", "One", 2)
    assert columns(output)["name"]["nulls"] == 1
    number = columns(output)["n"]
    assert (number["type"], number["min"], number["max"]) == ("integer", 1, 3)


def test_json_lines_are_profiled_by_their_keys() -> None:
    lines = [{"a": 1, "b": "x"}, {"a": 2.5, "c": {"d": [1]}}, {"a": None, "b": True}]
    text = "\n".join(map(json.dumps, lines)) + "\nno json\n[1]\n"
    output = run(step, text.encode(), JSON_LINES[0]).output
    assert (output["rows"], output["bad_lines"]) == (3, 2)
    assert columns(output)["a"]["type"] == "number"
    assert columns(output)["a"]["nulls"] == 1
    assert columns(output)["c"]["max"] == '{"d": [1]}'


def test_keys_that_come_late_are_counted() -> None:
    text = '{"a": 1}\n' * 300 + '{"late": 2}\n'
    output = run(step, text.encode(), JSON_LINES[0]).output
    assert output["values_under_other_keys"] == 1


def test_parquet_is_profiled_and_says_its_own_types() -> None:
    content = parquet(n=[1, 2, None], t=["x", "y", "y"], f=[True, False, None])
    assert detect(content) == PARQUET[0]
    output = run(step, content, PARQUET[0]).output
    assert output["stored_types"] == ["int64", "string", "bool"]
    assert columns(output)["n"]["nulls"] == 1
    assert columns(output)["t"]["distinct"] == 2
    assert columns(output)["f"]["type"] == "boolean"


def test_many_numbers_have_their_quantiles_from_a_sample() -> None:
    content = parquet(n=list(range(100_000)))
    number = columns(run(step, content, PARQUET[0]).output)["n"]
    assert number["sampled"] is True
    expected = [5_000, 25_000, 50_000, 75_000, 95_000]
    assert number["quantiles"] == pytest.approx(expected, abs=100)
    assert max(number["histogram"]) - min(number["histogram"]) <= 2


def test_an_empty_workbook_is_no_failure_it_is_empty() -> None:
    output = run(step, workbook(""), XLSX[0]).output
    assert (output["format"], output["sheet"]) == ("xlsx", "One")
    assert (output["rows"], output["column_count"], output["columns"]) == (0, 0, [])
    full = run(step, workbook(ROWS), XLSX[0]).output
    assert output.keys() == full.keys()


@pytest.mark.parametrize(
    ("content", "media_type", "chosen", "code"),
    [
        (workbook(ROWS), XLSX[0], {"sheet": "Two"}, "table_no_such_sheet"),
        (workbook(ROWS)[:50], XLSX[0], {}, "table_damaged"),
        (b"no object\n", JSON_LINES[0], {}, "table_empty"),
        (b"PAR1" + b"\0" * 100, PARQUET[0], {}, "table_damaged"),
        (parquet(n=list(range(1000)))[:-20], PARQUET[0], {}, "table_damaged"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_the_step_refuses(
    content: bytes, media_type: str, chosen: dict[str, Any], code: str
) -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, content, media_type, chosen)
    assert failure.value.code == code
