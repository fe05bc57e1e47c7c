"""Statements of the ORM that are compiled once for each database, and from then on only run.

Django builds and compiles a query anew each time, which takes about ten times as long as SQLite
takes to answer it. Where one request makes twenty of them, that is most of the request. What is
asked is still said to the ORM, so both databases get SQL of their own, and values of theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import randbits, token_hex
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet, UUIDField
from django.db.models.query import ModelIterable
from django.db.models.sql import UpdateQuery

T = TypeVar("T")

Converter = Callable[[Any, Any, BaseDatabaseWrapper], Any]

_ID: "UUIDField[UUID, UUID]" = UUIDField()  # knows how each database writes an id


class Prepared(Generic[T]):
    """A query with named values, each of them a UUID, an integer or a text.

    `build` returns a query set of instances, without those related to them, or of `values_list`.
    It is called once for each database, with values that only stand for others: what it asks must
    not depend on them.
    """

    def __init__(self, model: type[Model], build: "Callable[..., QuerySet[Any, T]]") -> None:
        self._model = model
        self._build = build
        self._known: dict[str, _Question] = {}

    def __call__(self, **values: Any) -> list[T]:
        """Ask, and return the whole answer."""
        alias = router.db_for_read(self._model)
        connection = connections[alias]
        if alias not in self._known:
            stand_ins = {name: _stand_in(value) for name, value in values.items()}
            asked = self._build(**stand_ins).using(alias)
            self._known[alias] = _Question.of(asked, stand_ins, connection)
        question = self._known[alias]
        with connection.cursor() as cursor:
            question.statement.run(cursor, values, connection)
            rows = cursor.fetchall()
        return [question.read(row, connection) for row in rows]


class PreparedUpdate:
    """An update with named values, as those of `Prepared`.

    `build` returns a query set, and what changes in its rows.
    """

    def __init__(
        self,
        model: type[Model],
        build: "Callable[..., tuple[QuerySet[Any, Any], Mapping[str, Any]]]",
    ) -> None:
        self._model = model
        self._build = build
        self._known: dict[str, _Statement] = {}

    def __call__(self, **values: Any) -> int:
        """Make the change, and return in how many rows."""
        alias = router.db_for_write(self._model)
        connection = connections[alias]
        if alias not in self._known:
            stand_ins = {name: _stand_in(value) for name, value in values.items()}
            rows, changes = self._build(**stand_ins)
            query: Any = rows.query.chain(UpdateQuery)
            query.add_update_values(changes)
            compiled = query.get_compiler(using=alias).as_sql()
            self._known[alias] = _Statement.of(compiled, stand_ins, connection)
        with connection.cursor() as cursor:
            self._known[alias].run(cursor, values, connection)
            return int(cursor.rowcount)


@dataclass(frozen=True)
class _Statement:
    """SQL, and what stands at each of its places: the name of a value, or a constant."""

    sql: str
    places: Sequence[tuple[str, Any]]

    @classmethod
    def of(
        cls,
        compiled: tuple[str, Sequence[Any]],
        stand_ins: Mapping[str, Any],
        connection: BaseDatabaseWrapper,
    ) -> "_Statement":
        """Find the places of the values by what stands for them.

        Raises:
            ValueError: there is no place for one of them.
        """
        sql, parameters = compiled
        written = {_written(value, connection): name for name, value in stand_ins.items()}
        places = [
            (
                written.get(parameter, "") if isinstance(parameter, (str, int, UUID)) else "",
                parameter,
            )
            for parameter in parameters
        ]
        if {name for name, _ in places if name} != set(stand_ins):
            raise ValueError("A value of a prepared statement has no place in it.")
        return cls(sql, places)

    def run(self, cursor: Any, values: Mapping[str, Any], connection: BaseDatabaseWrapper) -> None:
        given = {name: _written(value, connection) for name, value in values.items()}
        cursor.execute(self.sql, [given[name] if name else it for name, it in self.places])


@dataclass(frozen=True)
class _Question:
    """A query, and how to read a row of its answer."""

    statement: _Statement
    converters: Sequence[tuple[int, Sequence[Converter], Any]]
    make: Callable[[list[Any]], Any]

    @classmethod
    def of(
        cls,
        asked: "QuerySet[Any, Any]",
        stand_ins: Mapping[str, Any],
        connection: BaseDatabaseWrapper,
    ) -> "_Question":
        compiler: Any = asked.query.get_compiler(using=asked.db)
        statement = _Statement.of(compiler.as_sql(), stand_ins, connection)
        columns = [column for column, _, _ in compiler.select]
        converters = [
            (place, each, column)
            for place, (each, column) in compiler.get_converters(columns).items()
        ]
        if asked._iterable_class is not ModelIterable:
            return cls(statement, converters, tuple)
        if asked.query.select_related:
            raise ValueError("A prepared query reads no related instances.")
        fields = compiler.klass_info["select_fields"]
        names = [columns[place].target.attname for place in fields]
        annotations = compiler.annotation_col_map

        def make(row: list[Any]) -> Any:
            instance = asked.model.from_db(asked.db, names, [row[place] for place in fields])
            for name, place in annotations.items():
                setattr(instance, name, row[place])
            return instance

        return cls(statement, converters, make)

    def read(self, row: Sequence[Any], connection: BaseDatabaseWrapper) -> Any:
        values = list(row)
        for place, converters, column in self.converters:
            for convert in converters:
                values[place] = convert(values[place], column, connection)
        return self.make(values)


def _stand_in(value: Any) -> Any:
    """Return a value of the same kind that no other parameter is equal to."""
    match value:
        case UUID():
            return uuid4()
        case bool():
            raise TypeError("A condition that depends on a truth is another query.")
        case int():
            return (1 << 61) | randbits(60)
        case str():
            return token_hex(16)
    raise TypeError("A prepared statement takes ids, integers and texts.")


def _written(value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return a value as the database takes it; a choice as its text."""
    if isinstance(value, UUID):
        return _ID.get_db_prep_value(value, connection)
    return str(value) if isinstance(value, str) else value
