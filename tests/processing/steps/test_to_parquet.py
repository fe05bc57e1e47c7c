"""Tables as Parquet."""

import io
from datetime import date
from typing import Any

import pyarrow.parquet
import pytest

from processing.steps import to_parquet
from processing.steps.contract import StepFailed
from processing.steps.to_parquet import step
from tests.processing.steps.harness import Result, run


def table(result: Result) -> Any:
    return pyarrow.parquet.read_table(io.BytesIO(result.content("table.parquet")))


def test_every_column_gets_the_type_of_its_values() -> None:
    csv = (
        "id,price,paid,day,time,code,empty\n"
        "1,1.5,true,2024-02-29,2024-02-29T10:00:00Z,007,\n"
        "2,,FALSE,2024-06-31,2024-02-29T11:00:00Z,008,\n"
    )
    result = run(step, csv.encode(), "text/csv")
    assert table(result).to_pydict() == {
        "id": [1, 2],
        "price": [1.5, None],
        "paid": [True, False],
        "day": [date(2024, 2, 29), None],
        "time": ["2024-02-29T10:00:00Z", "2024-02-29T11:00:00Z"],
        "code": ["007", "008"],
        "empty": [None, None],
    }
    assert result.output["rows"] == 2
    assert result.output["impossible_dates"] == 1
    assert result.output["bytes"] == len(result.content("table.parquet"))


def test_a_whole_number_that_does_not_fit_stays_text() -> None:
    result = run(step, b"n,m\n9223372036854775808,1\n1,2\n", "text/csv")
    assert table(result).to_pydict() == {"n": ["9223372036854775808", "1"], "m": [1, 2]}


def test_ragged_rows_and_double_names_are_filled_and_told_apart() -> None:
    result = run(step, b"a,a,\n1\n2,3,4,5\n\n", "text/csv", {})
    assert table(result).to_pydict() == {
        "column_1": ["a", "1", "2"],
        "column_2": ["a", None, "3"],
        "column_3": [None, None, 4],
    }
    assert to_parquet._unique(["a", "a", "", "a"]) == ["a", "a_2", "column_3", "a_4"]


def test_a_large_table_is_written_in_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_parquet, "CELLS_A_GROUP", 20_000)
    lines = "n,t\n" + "".join(f"{n},text {n}\n" for n in range(50_000))
    result = run(step, lines.encode(), "text/csv")
    file = pyarrow.parquet.ParquetFile(io.BytesIO(result.content("table.parquet")))
    assert file.metadata.num_row_groups > 2
    assert file.read().column("n").to_pylist() == list(range(50_000))


def test_json_lines_become_a_table() -> None:
    result = run(step, b'{"a": 1}\n{"a": 2, "b": [1]}\n', "application/x-ndjson")
    assert table(result).to_pydict() == {"a": [1, 2], "b": [None, "[1]"]}


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, b"\n\n", "text/csv")
    assert failure.value.code == "csv_empty"
