"""A table as Parquet, with the types that its values have."""

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

from processing.steps import tables
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext
from processing.steps.csv_profile.profile import Profile, names_of

CELLS_A_GROUP = 1_000_000  # of a row group: what is in memory at once
INT64 = range(-(2**63), 2**63)

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "sheet": {"type": "string", "maxLength": 255, "default": ""},
        "compression": {"enum": ["zstd", "snappy", "gzip", "none"], "default": "zstd"},
    },
}


def run(context: StepContext) -> Output:
    """Read the table twice, for its types and for its values; the artifact is `table.parquet`.

    Raises:
        StepFailed: those of `csv_profile` and `table_profile`.
    """
    settings: Any = context.settings
    first = tables.open_table(context, settings)
    profile = Profile(first.first, has_header=first.has_header, null_values=frozenset({""}))
    for batch in first.batches:
        profile.take(batch)
    report: Any = profile.report()
    kinds = [_kind(column) for column in report["columns"]]
    context.content.seek(0)
    table = tables.open_table(context, settings)
    names = _unique(names_of(table.first, has_header=table.has_header)[: len(kinds)])
    rows = table.batches if table.has_header else _with_first(table.first, table.batches)
    with context.open_artifact("table.parquet", tables.PARQUET[0]) as artifact:
        sink = _Counted(artifact)
        lost: list[str] = []
        written = _write(sink, names, kinds, rows, settings.get("compression", "zstd"), lost)
    return {
        "format": table.format,
        "rows": written,
        "columns": [
            {"name": name[:60], "type": kind} for name, kind in zip(names, kinds, strict=True)
        ],
        "bytes": sink.at,
        "impossible_dates": len(lost),
    }


def _with_first(
    first: list[str], batches: Iterator[Sequence[tables.Row]]
) -> Iterator[Sequence[tables.Row]]:
    yield [first]
    yield from batches


def _kind(column: dict[str, Any]) -> str:
    """Return the type that holds every value of a column as it is."""
    kind: str = column["type"]
    if kind == "integer" and not (column["min"] in INT64 and column["max"] in INT64):
        return "text"
    return "text" if kind == "empty" else kind


def _unique(names: list[str]) -> list[str]:
    """Return `names`, with a number behind those that are there already, or are empty."""
    found: dict[str, None] = {}
    for place, name in enumerate(names, 1):
        unique = name or f"column_{place}"
        while unique in found:
            unique += f"_{place}"
        found[unique] = None
    return list(found)


def _write(
    sink: "_Counted",
    names: list[str],
    kinds: list[str],
    batches: Iterator[Sequence[tables.Row]],
    compression: str,
    lost: list[str],
) -> int:
    pyarrow = tables.arrow()
    types = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "date": pyarrow.date32(),
        "datetime": pyarrow.string(),  # with its zone, or without one, as it was written
        "text": pyarrow.string(),
    }
    schema = pyarrow.schema([(n, types[kind]) for n, kind in zip(names, kinds, strict=True)])
    group: list[tables.Row] = []
    written = 0
    width = len(names)
    most = max(1, CELLS_A_GROUP // width)
    with pyarrow.parquet.ParquetWriter(
        pyarrow.PythonFile(sink, mode="w"), schema, compression=compression, store_schema=True
    ) as writer:

        def flush() -> None:
            columns = zip(*group, strict=True)
            arrays = [
                pyarrow.array([_convert(kind, value, lost) for value in column], types[kind])
                for kind, column in zip(kinds, columns, strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))

        for batch in batches:
            group.extend([*row[:width], *[None] * (width - len(row))] for row in batch if row)
            if len(group) >= most:
                flush()
                written += len(group)
                group.clear()
        if group:
            flush()
            written += len(group)
    return written


def _convert(kind: str, value: str | None, lost: list[str]) -> Any:
    if value is None or not value:
        return None
    converted = _CONVERSIONS[kind](value)
    if converted is None:
        lost.append(kind)
    return converted


_TRUE = frozenset({"true", "yes"})
_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": lambda value: value.strip().lower() in _TRUE,
    "date": lambda value: _date(value.strip()),
    "datetime": str,
    "text": lambda value: value.encode("utf-8", "replace").decode(),
}


def _date(value: str) -> date | None:
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:  # 31 June looks like a date
        return None


class _Counted(io.RawIOBase):
    """An artifact that knows how much was written, which Parquet's footer needs."""

    def __init__(self, artifact: BinaryIO) -> None:
        super().__init__()
        self._artifact = artifact
        self.at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._artifact.write(view)
        self.at += len(view)
        return len(view)


step = Step(
    "to_parquet",
    run,
    title="Conversion to Parquet",
    media_types=(*tables.CSV, *tables.XLSX, *tables.JSON_LINES),
    limits=Limits(wall_s=3600, cpu_s=3000, memory_bytes=1536 * MIB, output_bytes=MIB),
    settings_schema=SCHEMA,
)
