"""What is in a table: types, gaps, ranges and trouble, column by column, in one pass."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.csv_profile.profile import (
    Profile,
    TableEmpty,
    empty_report,
    looks_like_header,
)
from processing.steps.text import ENCODINGS, LineReader, choose_encoding, decode
from uploads.media_types import HEAD_BYTES, table_in

MAX_LINE_CHARS = 4 * MIB

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "pattern": '^[^"\\r\\n ]$'},
        "encoding": {"enum": ["auto", *ENCODINGS], "default": "auto"},
        "header": {"enum": ["auto", "yes", "no"], "default": "auto"},
        "null_values": {
            "type": "array",
            "items": {"type": "string", "maxLength": 100},
            "maxItems": 20,
            "default": [""],
        },
    },
}


def run(context: StepContext) -> Output:
    """Return the profile of the table.

    Raises:
        StepFailed: `csv_line_too_long`, `csv_field_too_long`.
    """
    settings: Mapping[str, Any] = context.settings
    try:
        table = open_csv(context, settings)
    except TableEmpty as empty:
        return {**empty.facts, **empty_report()}
    profile = Profile(
        table.first,
        has_header=table.has_header,
        null_values=frozenset(settings.get("null_values", [""])),
    )
    for batch in table.batches:
        profile.take(batch)
    return {
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "undecodable_lines": table.reader.undecodable,
        **profile.report(),
    }


@dataclass(frozen=True)
class CsvTable:
    """A table in text: its first row, and all others in batches."""

    encoding: str
    delimiter: str
    first: list[str]
    has_header: bool
    batches: Iterator[list[list[str]]]
    reader: LineReader


def open_csv(context: StepContext, settings: Mapping[str, Any]) -> CsvTable:
    """Return the table that `context` has, read as `settings` say.

    Raises:
        TableEmpty: with the code `csv_empty`.
        StepFailed: with the batches, `csv_line_too_long`, `csv_field_too_long`.
    """
    encoding = choose_encoding(context.content, settings.get("encoding", "auto"))
    head = next(decode(context.content, encoding, block_bytes=HEAD_BYTES), "")
    context.content.seek(0)
    delimiter = settings.get("delimiter") or _delimiter(head, context.media_type)
    reader = LineReader(context.content, encoding, max_chars=MAX_LINE_CHARS)
    rows = _rows(reader, delimiter)
    first = next((row for row in rows if row), None)
    if first is None:
        facts: Output = {"encoding": encoding, "delimiter": delimiter, "undecodable_lines": 0}
        raise TableEmpty("csv_empty", facts)
    wanted = settings.get("header", "auto")
    has_header = looks_like_header(first) if wanted == "auto" else wanted == "yes"
    return CsvTable(encoding, delimiter, first, has_header, _batches(rows, reader), reader)


def _delimiter(head: str, media_type: str) -> str:
    if media_type.startswith("text/tab-separated-values"):
        return "\t"
    table = table_in(head[: head.rfind("\n") + 1] or head)
    return table.delimiter if table else ","


def _rows(reader: LineReader, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows; an empty line is an empty row."""
    try:
        yield from csv.reader(_lines(reader), delimiter=delimiter)
    except csv.Error:
        raise StepFailed(
            "csv_field_too_long",
            f"A field has more than {csv.field_size_limit():,} characters; "
            "perhaps a quote is not closed.",
        ) from None


def _lines(reader: LineReader) -> Iterator[str]:
    for _, lines in reader.windows():
        if reader.cut:
            raise StepFailed(
                "csv_line_too_long", f"A line has more than {MAX_LINE_CHARS:,} characters."
            )
        for line in lines:
            yield line + "\n"


def _batches(rows: Iterator[list[str]], reader: LineReader) -> Iterator[list[list[str]]]:
    """Yield the rows of one window of lines after the other: that bounds their memory."""
    batch: list[list[str]] = []
    window = reader.lines
    for row in rows:
        batch.append(row)
        if reader.lines != window:
            yield batch
            batch, window = [], reader.lines
    if batch:
        yield batch


step = Step(
    "csv_profile",
    run,
    title="CSV profile",
    media_types=("text/csv", "text/tab-separated-values", "text/plain"),
    limits=Limits(wall_s=1800, cpu_s=1200, output_bytes=2 * MIB),
    settings_schema=SCHEMA,
    shares_child=("*/*",),
)
