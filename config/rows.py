"""Many new rows of one model at once, for what is written with each file.

`bulk_create` asks each field about each value, which takes several times as long as the database
takes to store it. Most values are what a driver takes as it is, so nobody has to be asked.
"""

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BinaryField,
    CharField,
    DateTimeField,
    FloatField,
    IntegerField,
    Model,
    UUIDField,
)

TAKEN_AS_THEY_ARE = (BinaryField, CharField, FloatField, IntegerField)
TAKEN_BY_TYPE = (DateTimeField, UUIDField)  # as they are, or as the database writes them


def insert(rows: Sequence[Model]) -> None:
    """Insert new rows of one model, as `bulk_create` does; ids that the database gives stay there.

    Values must have the types of their columns: nothing is converted.
    """
    if not rows:
        return
    database = connections[DEFAULT_DB_ALIAS]
    meta = rows[0]._meta
    fields: list[Any] = [field for field in meta.concrete_fields if field is not meta.auto_field]
    names = ", ".join(database.ops.quote_name(field.column) for field in fields)
    columns = [_column(field, rows, database) for field in fields]
    into = f"{database.ops.quote_name(meta.db_table)} ({names})"
    _write(into, list(zip(*columns, strict=True)), database)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def _column(field: Any, rows: Sequence[Model], database: BaseDatabaseWrapper) -> list[Any]:
    kind = field.target_field if field.is_relation else field
    if isinstance(kind, TAKEN_AS_THEY_ARE):
        return [getattr(row, field.attname) for row in rows]
    values = [field.pre_save(row, add=True) for row in rows]
    if isinstance(kind, TAKEN_BY_TYPE):
        return [kind.get_db_prep_value(value, database, prepared=True) for value in values]
    return [kind.get_db_prep_save(value, database) for value in values]


def _write(into: str, rows: Sequence[tuple[Any, ...]], database: BaseDatabaseWrapper) -> None:
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            with database.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            values = ", ".join(["%s"] * len(rows[0]))
            statement = f"INSERT INTO {into} VALUES ({values})"  # noqa: S608 - names of ours
            cursor.executemany(statement, rows)
