"""The profile of a table."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.contract import JSON, Output, StepFailed
from processing.steps.csv_profile import column, profile, step
from tests.processing.steps.harness import run


def profiled(content: bytes | str, media_type: str = "text/csv", **settings: JSON) -> Output:
    if isinstance(content, str):
        content = content.encode()
    return run(step, content, media_type, settings).output


def columns(output: Output) -> dict[str, Any]:
    found: Any = output["columns"]
    return {facts["name"]: facts for facts in found}


def only_column(*cells: str, null_values: JSON = None) -> Any:
    rows = "".join(f"{cell},-\n" for cell in cells)
    settings = {} if null_values is None else {"null_values": null_values}
    output = run(step, f"a,b\n{rows}".encode(), "text/csv", settings).output
    return columns(output)["a"]


def test_it_counts_rows_and_names_columns() -> None:
    output = profiled("id,name\n1,Ada\n2,Grace\n")
    assert (output["rows"], output["column_count"], output["header"]) == (2, 2, True)
    assert columns(output)["id"] == {
        "name": "id", "type": "integer", "values": 2, "nulls": 0, "distinct": 2,
        "distinct_is_exact": True, "longest": 1, "formula_like": 0, "min": 1, "max": 2, "mean": 1.5,
        "quantiles": [1, 1, 1, 2, 2], "histogram": [1, *[0] * 18, 1], "sampled": False,
    }  # fmt: skip
    assert columns(output)["name"] == {
        "name": "name", "type": "text", "values": 2, "nulls": 0, "distinct": 2,
        "distinct_is_exact": True, "longest": 5, "formula_like": 0, "min": "Ada", "max": "Grace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "+3", "0", " 4 "], "integer"),
        (["1", "2.5"], "number"),
        (["1e3", ".5", "-0.0", "7."], "number"),
        (["007", "008"], "text"),
        (["1_000"], "text"),
        (["٣"], "text"),
        (["nan", "inf"], "text"),
        (["1e999"], "text"),
        (["9" * 39], "text"),
        (["true", "FALSE", "Yes"], "boolean"),
        (["2024-02-29", "1999-12-31"], "date"),
        (["2024-13-01"], "text"),
        (["2024-02-29T10:00:00Z", "2024-02-29 10:00"], "datetime"),
        (["1", "x"], "text"),
        (["", ""], "empty"),
        (["", "1"], "integer"),
        (["1", "true"], "text"),
        (["1\x1f2"], "text"),
    ],
)
def test_a_column_has_the_narrowest_type_that_fits_all(cells: list[str], kind: str) -> None:
    assert only_column(*cells)["type"] == kind


@given(st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=30))
def test_whole_numbers_are_exact(numbers: list[int]) -> None:
    facts = only_column(*map(str, numbers))
    assert (facts["min"], facts["max"]) == (min(numbers), max(numbers))
    assert facts["mean"] == sum(numbers) / len(numbers)
    assert facts["distinct"] == len(set(numbers))


@given(
    st.lists(
        st.lists(st.text(alphabet='ab ,"\n1', max_size=8), min_size=3, max_size=3), min_size=1,
        max_size=12,
    )
)  # fmt: skip
def test_quotes_delimiters_and_newlines_in_cells_move_nothing(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["one", "two", "three"], *rows])
    found = columns(profiled(text.getvalue(), delimiter=","))
    for at, name in enumerate(("one", "two", "three")):
        cells = [row[at] for row in rows if row[at]]
        assert found[name]["values"] == len(cells)
        assert found[name]["longest"] == max(map(len, cells), default=0)
        assert found[name]["distinct"] == len(set(cells))


def test_the_type_is_that_of_the_whole_file_not_of_its_start() -> None:
    rows = "".join(f"{at},x\n" for at in range(60_000))
    found = columns(profiled(f"a,b\n{rows}late,x\n"))["a"]
    assert (found["type"], found["min"], found["max"]) == ("text", "0", "late")
    found = columns(profiled(f"a,b\n{rows}0.5,x\n"))["a"]
    assert (found["type"], found["min"], found["max"]) == ("number", 0, 59_999)


def test_distinct_values_are_exact_up_to_a_bound_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(profile, "DISTINCT_PER_COLUMN", 5)
    exact = only_column(*"aabbccdde")
    assert (exact["distinct"], exact["distinct_is_exact"]) == (5, True)
    more = only_column(*"aabbccddeef")
    assert (more["distinct"], more["distinct_is_exact"]) == (5, False)


def test_long_values_are_told_apart_beyond_what_is_shown() -> None:
    found = only_column("x" * 500 + "a", "x" * 500 + "b", "x" * 500 + "b")
    assert (found["distinct"], found["longest"]) == (2, 501)
    assert found["min"] == "x" * column.MAX_SHOWN


@pytest.mark.parametrize(
    ("cell", "counts"),
    [
        ("=1+1", True), ("+CMD", True), ("-x", True), ("@SUM(1)", True), ("\t=1", True),
        ("-5", False), ("+5.5", False), ("- ", True), ("a=1", False), ("", False),
    ],
)  # fmt: skip
def test_cells_that_a_spreadsheet_would_run_are_counted(cell: str, counts: bool) -> None:
    assert only_column(cell, "text")["formula_like"] == counts


def test_rows_of_another_length_are_counted_and_the_first_ones_named() -> None:
    text = "a,b,c\n1,2,3\n1\n\n1,2,3,4\n1,2,3\n" + "1,2\n" * 20
    output = profiled(text)
    assert output["ragged_rows"] == 22
    assert output["first_ragged_rows"] == [3, 5, 7, 8, 9, 10, 11, 12, 13, 14]
    assert output["blank_rows"] == 1
    assert output["rows"] == 24
    assert columns(output)["c"]["nulls"] == 21
    assert columns(output)["c"]["values"] == 3


@pytest.mark.parametrize(
    ("text", "media_type", "delimiter"),
    [
        ("a;b\n1,5;2\n1,6;3\n", "text/csv", ";"),
        ("a\tb\n1\t2\n", "text/csv", "\t"),
        ("a|b|c\n1|2|3\n", "text/plain", "|"),
        ("a,b\n1,2\n", "text/csv", ","),
        ("alone\n1\n", "text/csv", ","),
        ("a,b,c\n1,2,3\n", "text/tab-separated-values", "\t"),
    ],
)
def test_the_delimiter_is_found(text: str, media_type: str, delimiter: str) -> None:
    assert profiled(text, media_type)["delimiter"] == delimiter


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found(encoding: str, found: str) -> None:
    output = profiled("näme,größe\nä,ö\n".encode(encoding))
    assert output["encoding"] == found
    assert list(columns(output)) == ["näme", "größe"]
    assert output["undecodable_lines"] == 0


def test_bad_bytes_after_the_head_are_counted() -> None:
    output = profiled(b"a,b\n" + "ü,x\n".encode() * 30_000 + b"\xff,x\n")
    assert (output["encoding"], output["undecodable_lines"]) == ("utf-8", 1)


@pytest.mark.parametrize(
    ("first", "wanted", "has_header"),
    [
        ("a,b", "auto", True),
        ("a,1", "auto", False),
        ("a,a", "auto", False),
        ("a,", "auto", False),
        ("a,2024-01-01", "auto", False),
        ("1,2", "yes", True),
        ("a,b", "no", False),
    ],
)
def test_the_first_row_is_a_header_if_it_has_only_names(
    first: str, wanted: str, has_header: bool
) -> None:
    output = profiled(f"{first}\n3,4\n", header=wanted)
    assert output["header"] is has_header
    assert output["rows"] == (1 if has_header else 2)
    assert (list(columns(output)) == ["column_1", "column_2"]) is not has_header


def test_what_counts_as_null_can_be_set() -> None:
    found = only_column("NA", "1", "", null_values=["", "NA"])
    assert (found["nulls"], found["values"], found["type"]) == (2, 1, "integer")
    assert only_column("NA", "1", "")["type"] == "text"


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_table_with_nothing_in_it_is_empty_and_no_failure(content: bytes) -> None:
    output = profiled(content)
    assert (output["rows"], output["columns"]) == (0, [])
    assert output.keys() == profiled(b"a,b\n1,2\n").keys()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'a,b\n"' + b"x" * 200_000, "csv_field_too_long"),
        (b'a,b\n"' + b"never closed\n" * 20_000, "csv_field_too_long"),
        (b"a," * 2_200_000, "csv_line_too_long"),
    ],
)
def test_it_refuses(content: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as failure:
        profiled(content)
    assert failure.value.code == code
    assert "never closed" not in failure.value.detail


def test_a_table_of_very_many_columns_is_profiled_in_part() -> None:
    header = ",".join(f"c{at}" for at in range(3000))
    output = profiled(f"{header}\n{header}\n")
    assert output["column_count"] == 3000
    assert len(columns(output)) == profile.MAX_COLUMNS
    assert output["ragged_rows"] == 0
