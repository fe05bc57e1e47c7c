"""What is in a workbook's sheet, in JSON lines or in Parquet: the profile that CSV gets too."""

from typing import Any

from processing.steps import tables
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext
from processing.steps.csv_profile.profile import Profile, TableEmpty, empty_report

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"sheet": {"type": "string", "maxLength": 255, "default": ""}},
}


def run(context: StepContext) -> Output:
    """Return the profile of the table.

    Raises:
        StepFailed: `table_empty` (lines, none of which is an object), `table_damaged`,
            `table_too_large`, `table_no_such_sheet`, and those of workbooks.
    """
    settings: Any = context.settings
    try:
        table = tables.open_table(context, settings)
    except TableEmpty as empty:
        return {**empty.facts, **empty_report()}
    profile = Profile(table.first, has_header=table.has_header, null_values=frozenset({""}))
    for batch in table.batches:
        profile.take(batch)
    return {"format": table.format, **table.facts, **profile.report()}


step = Step(
    "table_profile",
    run,
    title="Table profile",
    media_types=(*tables.XLSX, *tables.JSON_LINES, *tables.PARQUET),
    limits=Limits(wall_s=1800, cpu_s=1200, memory_bytes=1024 * MIB, output_bytes=2 * MIB),
    settings_schema=SCHEMA,
)
