"""The table as a whole: its columns, and the rows that do not fit."""

from collections.abc import Sequence

from processing.steps.contract import JSON, Output, StepFailed
from processing.steps.csv_profile.column import Column, is_typed

MAX_COLUMNS = 500  # that are profiled
MAX_RAGGED_NAMED = 10  # rows
DISTINCT_PER_COLUMN = 10_000
DISTINCT_IN_ALL = 200_000


def looks_like_header(row: Sequence[str]) -> bool:
    """Tell whether `row` has nothing but different names."""
    names = [cell.strip() for cell in row]
    return all(names) and len(set(names)) == len(names) and not any(map(is_typed, names))


def names_of(first: Sequence[str], *, has_header: bool) -> list[str]:
    """Return the names of the columns, by the first row or by their places."""
    return list(first) if has_header else [f"column_{at}" for at in range(1, len(first) + 1)]


class TableEmpty(StepFailed):
    """There is nothing in a table, not even a header; `facts` are what else is known of it."""

    def __init__(self, code: str, facts: Output) -> None:
        super().__init__(code, "The table has no rows.")
        self.facts = facts


def empty_report() -> Output:
    """Return what `Profile.report` would say of a table that has nothing in it."""
    return {
        "header": False,
        "rows": 0,
        "blank_rows": 0,
        "ragged_rows": 0,
        "first_ragged_rows": [],
        "column_count": 0,
        "columns": [],
    }


class Profile:
    """Gathers rows; the first one says how many fields a row should have."""

    def __init__(self, first: list[str], *, has_header: bool, null_values: frozenset[str]) -> None:
        self._width = len(first)
        self._has_header = has_header
        names = names_of(first, has_header=has_header)[:MAX_COLUMNS]
        bound = min(DISTINCT_PER_COLUMN, DISTINCT_IN_ALL // len(names))
        self._columns = [Column(name, nulls=null_values, bound=bound) for name in names]
        self._rows = 0
        self._blank = 0
        self._ragged = 0
        self._first_ragged: list[JSON] = []
        self._number = int(has_header)  # of the row last seen; a header is row 1
        if not has_header:
            self.take([first])

    def take(self, rows: Sequence[Sequence[str | None]]) -> None:
        """Add rows; blank ones are counted and skipped, ragged ones cut or filled up."""
        regular: list[Sequence[str | None]] = []
        for row in rows:
            self._number += 1
            if len(row) == self._width:
                regular.append(row)
            elif row:
                self._note_ragged()
                regular.append([*row[: self._width], *[None] * (self._width - len(row))])
            else:
                self._blank += 1
        self._rows += len(regular)
        if regular:
            for column, cells in zip(self._columns, zip(*regular, strict=True), strict=False):
                column.take(cells)

    def _note_ragged(self) -> None:
        self._ragged += 1
        if len(self._first_ragged) < MAX_RAGGED_NAMED:
            self._first_ragged.append(self._number)

    def report(self) -> Output:
        """Return the table's facts and its columns'. `rows` does not count the header."""
        columns: list[JSON] = [column.report() for column in self._columns]
        return {
            "header": self._has_header,
            "rows": self._rows,
            "blank_rows": self._blank,
            "ragged_rows": self._ragged,
            "first_ragged_rows": self._first_ragged,
            "column_count": self._width,
            "columns": columns,
        }
