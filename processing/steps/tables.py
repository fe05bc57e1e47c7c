"""Tables of any kind as a stream of rows: CSV, TSV, workbooks, JSON lines, Parquet."""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from processing.steps.contract import JSON, Output, StepContext, StepFailed
from processing.steps.csv_profile import open_csv
from processing.steps.csv_profile.profile import TableEmpty, looks_like_header
from processing.steps.document_text.errors import DocumentDamaged, DocumentEncrypted
from processing.steps.document_text.office import Package
from processing.steps.sheets import Workbook, text_of
from processing.steps.text import LineReader, choose_encoding

Row = Sequence[str | None]

MAX_COLUMNS = 500
MAX_LINE_CHARS = 4 * 1024 * 1024
BATCH_ROWS = 2_000
KEYS_FROM = 200  # lines of JSON whose keys become columns
MAX_THRIFT_BYTES = 16 * 1024 * 1024  # of a text in Parquet's own metadata
MAX_THRIFT_ITEMS = 1_000_000

_MS = "application/vnd.ms-excel.sheet.macroenabled.12"
XLSX = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _MS)
CSV = ("text/csv", "text/tab-separated-values")
JSON_LINES = ("application/x-ndjson",)
PARQUET = ("application/vnd.apache.parquet",)


@dataclass
class Table:
    """A table that is being read: its first row and the batches that follow.

    `facts` are complete when the batches are at their end.
    """

    format: str
    first: list[str]
    has_header: bool
    batches: Iterator[Sequence[Row]]
    facts: Output = field(default_factory=dict)


def open_table(context: StepContext, settings: Mapping[str, Any]) -> Table:
    """Return the table in a file.

    Raises:
        StepFailed: `table_empty`, `table_damaged`, `table_too_large`, and those of the formats.
    """
    media_type = context.media_type.partition(";")[0].strip().lower()
    readers: dict[tuple[str, ...], Callable[[StepContext, Mapping[str, Any]], Table]] = {
        CSV: _csv,
        XLSX: _sheet,
        JSON_LINES: _json_lines,
        PARQUET: _parquet,
    }
    for kinds, reader in readers.items():
        if media_type in kinds:
            return reader(context, settings)
    return _csv(context, settings)


def _empty() -> StepFailed:
    return StepFailed("table_empty", "The table has no rows.")


def _nothing(kind: str, facts: Output) -> TableEmpty:
    return TableEmpty("table_empty", {"format": kind, **facts})


def damaged() -> StepFailed:
    """Return the failure over a table that cannot be read."""
    return StepFailed("table_damaged", "The table is damaged.")


def _csv(context: StepContext, settings: Mapping[str, Any]) -> Table:
    table = open_csv(context, settings)
    facts: Output = {"encoding": table.encoding, "delimiter": table.delimiter}
    return Table("csv", table.first, table.has_header, table.batches, facts)


def _sheet(context: StepContext, settings: Mapping[str, Any]) -> Table:
    try:
        package = Package(context.content, context.size)
        workbook = Workbook(package.open, package.has)
    except (DocumentDamaged, DocumentEncrypted):
        raise damaged() from None
    wanted = settings.get("sheet", "")
    sheets = [sheet for sheet in workbook.sheets if wanted in ("", sheet.name)]
    if not sheets:
        raise StepFailed("table_no_such_sheet", "The workbook has no such sheet.")
    rows = workbook.rows(sheets[0])
    _, cells = next(rows, (0, []))
    names: list[JSON] = [sheet.name[:60] for sheet in workbook.sheets[:100]]
    facts: Output = {"sheet": sheets[0].name[:60], "sheets": names}
    if not cells:
        raise _nothing("xlsx", facts)
    width = min(cells[-1][0] + 1, MAX_COLUMNS)
    first = [cell or "" for cell in _dense(cells, width)]
    batches = _batched(_dense(cells, width) for _, cells in rows)
    return Table("xlsx", first, looks_like_header(first), batches, facts)


def _dense(cells: list[tuple[int, Any]], width: int) -> list[str | None]:
    row: list[str | None] = [None] * width
    for column, value in cells:
        if column < width:
            row[column] = text_of(value)
    return row


def _json_lines(context: StepContext, _: Mapping[str, Any]) -> Table:
    facts: Output = {"bad_lines": 0, "values_under_other_keys": 0}
    objects = _objects(context, facts)
    ahead = list(itertools.islice(objects, KEYS_FROM))
    if not ahead:
        raise _empty()
    keys = list(dict.fromkeys(key for one in ahead for key in one))[:MAX_COLUMNS]
    known = frozenset(keys)

    def rows() -> Iterator[Row]:
        for one in itertools.chain(ahead, objects):
            if one.keys() - known:
                others = len(one.keys() - known)
                facts["values_under_other_keys"] += others  # type: ignore[operator]
            yield [_json_text(one.get(key)) for key in keys]

    return Table("json_lines", keys, True, _batched(rows()), facts)


def _objects(context: StepContext, facts: Output) -> Iterator[dict[str, Any]]:
    encoding = choose_encoding(context.content, "auto")
    reader = LineReader(context.content, encoding, max_chars=MAX_LINE_CHARS)
    for _, lines in reader.windows():
        for line in filter(str.strip, lines):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield value
            else:
                facts["bad_lines"] += 1  # type: ignore[operator]


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def arrow() -> ModuleType:
    """Return pyarrow with one thread and the system's memory; it is loaded when it is needed.

    Its own allocators reserve a gigabyte of addresses, which counts against a step's limit.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    import pyarrow  # noqa: PLC0415 - 35 MB that few files need
    import pyarrow.parquet  # noqa: PLC0415

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    module: ModuleType = pyarrow
    return module


def _parquet(context: StepContext, _: Mapping[str, Any]) -> Table:
    pyarrow = arrow()
    try:
        file = pyarrow.parquet.ParquetFile(
            context.content,
            pre_buffer=False,
            thrift_string_size_limit=MAX_THRIFT_BYTES,
            thrift_container_size_limit=MAX_THRIFT_ITEMS,
            page_checksum_verification=True,
        )
        names = [str(name) for name in file.schema_arrow.names][:MAX_COLUMNS]
        types: list[JSON] = [str(kind)[:60] for kind in file.schema_arrow.types[:MAX_COLUMNS]]
    except (pyarrow.ArrowException, OSError, ValueError):
        raise damaged() from None
    if not names:
        raise _nothing("parquet", {})

    def batches() -> Iterator[Sequence[Row]]:
        try:
            read = file.iter_batches(BATCH_ROWS, columns=names, use_threads=False)
            for batch in read:
                columns = [list(map(_arrow_text, column.to_pylist())) for column in batch.columns]
                yield list(zip(*columns, strict=True))
        except pyarrow.ArrowMemoryError:
            raise StepFailed("table_too_large", "A part of the table is too large.") from None
        except (pyarrow.ArrowException, OSError, ValueError):
            raise damaged() from None

    facts: Output = {"stored_types": types, "row_groups": file.metadata.num_row_groups}
    return Table("parquet", names, True, batches(), facts)


def _arrow_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _batched(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        yield batch
