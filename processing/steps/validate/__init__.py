"""Whether JSON, JSON lines, CSV or XML is what its settings say it must be."""

import importlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from processing.steps import tables
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.markup import BadMarkup, events
from processing.steps.text import REPLACEMENT, UNDECODABLE, choose_encoding, decode
from processing.steps.validate import xml_schema

MAX_JSON_BYTES = 32 * MIB
MAX_NAMED = 50
MAX_SCHEMA_CHARS = 100_000
MAX_MESSAGE_CHARS = 300
XML = ("application/xml", "text/xml", "image/svg+xml")

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "schema": {"type": "object", "default": {}},
        "xsd": {"type": "string", "minLength": 1},
        "relax_ng": {"type": "string", "minLength": 1},
        "must_be_valid": {"type": "boolean", "default": False},
    },
}


def check(settings: Mapping[str, JSON]) -> list[tuple[str, str]]:
    """Return what is wrong with the schemas in the settings."""
    given = [kind for kind in xml_schema.NAMESPACES if kind in settings]
    if len(given) > 1:
        return [("relax_ng", "stands beside xsd: only one of them counts")]
    for kind in given:
        if wrong := xml_schema.unfit(kind, str(settings[kind])):
            return [(kind, wrong)]
    schema = settings.get("schema", {})
    try:
        if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
            return [("schema", f"has more than {MAX_SCHEMA_CHARS:,} characters")]
        jsonschema().Draft202012Validator.check_schema(schema)
    except jsonschema().SchemaError as error:
        return [("schema", f"is no JSON Schema: {error.message[:MAX_MESSAGE_CHARS]}")]
    wrong = _unfit(schema)
    return [("schema", wrong)] if wrong else []


def jsonschema() -> ModuleType:
    """Return the library, which few runs need."""
    return importlib.import_module("jsonschema")


def run(context: StepContext) -> Output:
    """Return whether the file is valid, and the first mistakes with their places.

    Raises:
        StepFailed: `validate_invalid` (if told so), `validate_too_large`,
            `validate_schema_broken`, those of tables.
    """
    settings: Any = context.settings
    validator = jsonschema().Draft202012Validator(settings.get("schema", {}))
    media_type = context.media_type.partition(";")[0].strip().lower()
    complete = True
    if media_type in XML:
        kind, mistakes = "xml", _xml(context)
    elif media_type == "application/json":
        kind, mistakes = "json", _json(context, validator)
    else:
        kind, mistakes = "rows", _rows(context, validator)
    named: list[JSON] = []
    count = 0
    try:
        for mistake in mistakes:
            named += [mistake] if count < MAX_NAMED else []
            count += 1
    except xml_schema.TooMany as error:
        complete = False
        count = len(error.so_far)
        named = [_mistake(*mistake) for mistake in error.so_far[:MAX_NAMED]]
    if named and settings.get("must_be_valid"):
        raise StepFailed("validate_invalid", "The file is not what its schema says.")
    return {
        "kind": kind,
        "valid": not named,
        "mistakes": count,
        "complete": complete,
        "first": named,
    }


def _mistake(place: str, message: str) -> JSON:
    return {"place": place[:MAX_MESSAGE_CHARS], "message": message[:MAX_MESSAGE_CHARS]}


def _xml(context: StepContext) -> Iterator[JSON]:
    try:
        for _ in events(context.content):
            pass
    except BadMarkup as error:
        where = f"line {error.line}, column {error.column + 1}" if error.line else ""
        yield _mistake(where, f"It is not well-formed: {error.reason}.")
        return
    settings: Any = context.settings
    for kind in xml_schema.NAMESPACES:
        if kind in settings:
            context.content.seek(0)
            found = xml_schema.mistakes(
                context.content, context.size, kind=kind, text=settings[kind]
            )
            yield from (_mistake(*mistake) for mistake in found)


def _json(context: StepContext, validator: Any) -> Iterator[JSON]:
    if context.size > MAX_JSON_BYTES:
        raise StepFailed("validate_too_large", "The file is too large to be validated as a whole.")
    encoding = choose_encoding(context.content, "auto")
    text = "".join(decode(context.content, encoding, block_bytes=MIB))
    try:
        value = json.loads(text.replace(UNDECODABLE, REPLACEMENT).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        yield _mistake(f"line {error.lineno}, column {error.colno}", error.msg)
        return
    except (ValueError, RecursionError):
        yield _mistake("", "It is nested too deeply, or has a number that is too long.")
        return
    yield from _against(validator, value, "")


def _rows(context: StepContext, validator: Any) -> Iterator[JSON]:
    """Hold each row against the schema, as an object by the names of the columns."""
    table = tables.open_table(context, {})
    number = int(table.has_header)
    rows: Iterable[tables.Row] = itertools.chain.from_iterable(table.batches)
    if not table.has_header:
        rows = itertools.chain([table.first], rows)
    for row in rows:
        number += 1
        if not row:
            continue
        place = f"row {number}"
        if table.format == "csv" and len(row) != len(table.first):
            yield _mistake(place, f"It has {len(row)} fields, not {len(table.first)}.")
        names = table.first if table.has_header else [f"column_{n + 1}" for n in range(len(row))]
        cells = {name: cell for name, cell in zip(names, row, strict=False) if cell is not None}
        yield from _against(validator, cells, place)


def _against(validator: Any, value: Any, place: str) -> Iterator[JSON]:
    try:
        for error in validator.iter_errors(value):
            path = "/".join(map(str, error.absolute_path))
            keyword = f"{error.validator}" + (f": {_short(error.validator_value)}")
            yield _mistake(" ".join(filter(None, (place, path))), f"It breaks the rule {keyword}.")
    except RecursionError:
        yield _mistake(place, "It is nested too deeply.")


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[: MAX_MESSAGE_CHARS // 2]


def _unfit(schema: JSON) -> str:
    """Return what makes a schema unfit to be run over a stranger's file."""
    if isinstance(schema, dict):
        reference = schema.get("$ref", schema.get("$dynamicRef", "#"))
        if isinstance(reference, str) and not reference.startswith("#"):
            return "refers to another document"
        found = map(_unfit, schema.values())
    elif isinstance(schema, list):
        found = map(_unfit, schema)
    else:
        return ""
    return next(filter(None, found), "")


step = Step(
    "validate",
    run,
    title="Validation",
    media_types=("application/json", *tables.JSON_LINES, *tables.CSV, *XML),
    limits=Limits(wall_s=1800, cpu_s=1200, memory_bytes=1024 * MIB),
    settings_schema=SCHEMA,
    check_settings=check,
)
