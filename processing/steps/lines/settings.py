"""The settings of the line routing: their schema, their example, and what they are made into."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from processing.steps.contract import JSON
from processing.steps.lines.processors import (
    EXAMPLE_RULES,
    EXAMPLE_TEMPLATE,
    NAME,
    OPTIONS,
    PROCESSORS,
    BadOption,
    Processor,
)
from processing.steps.text import ENCODINGS

START, END, BY_TAG = "start", "end", "@tag"
MAX_TALLIES = 8  # each may take a tenth of what a step may answer
END_FILE, UNROUTED_FILE = "lines.txt", "unrouted.txt"

EXAMPLE_ROUTES: dict[str, JSON] = {
    "start": {"through": ["trim", {"use": "tag", "rules": EXAMPLE_RULES}], "to": "@tag"},
    "errors": {"through": ["upper", "count", "archive"], "to": "report"},
    "warnings": {"through": ["count", "archive"], "to": "report"},
    "general": {"through": ["snake_case", "count"], "to": "report"},
    "report": {"through": ["tally", {"use": "format", "template": EXAMPLE_TEMPLATE}], "to": "end"},
}


def _processor_schema() -> JSON:
    each: list[JSON] = [
        {
            "if": {"type": "object", "properties": {"use": {"const": name}}},
            "then": {
                "properties": {"use": {}, **options},
                "additionalProperties": False,
            },
        }
        for name, options in OPTIONS.items()
    ]
    names: list[JSON] = list(PROCESSORS)
    return {
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"enum": names},
        "else": {
            "required": ["use"],
            "properties": {"use": {"enum": names}},
            "allOf": each,
        },
    }


SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "encoding": {"enum": ["auto", *ENCODINGS], "default": "auto"},
        "max_line_chars": {
            "type": "integer",
            "minimum": 80,
            "maximum": 4194304,
            "default": 1048576,
        },
        "max_hops": {"type": "integer", "minimum": 1, "maximum": 1024, "default": 64},
        "traced_lines": {"type": "integer", "minimum": 0, "maximum": 100, "default": 20},
        "routes": {
            "type": "object",
            "required": [START],
            "maxProperties": 32,
            "propertyNames": {"pattern": NAME, "not": {"const": END}},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "through": {"type": "array", "maxItems": 16, "items": _processor_schema()},
                    "to": {
                        "type": ["string", "array"],
                        "items": {"type": "string"},
                        "maxItems": 16,
                        "uniqueItems": True,
                    },
                },
            },
            "default": EXAMPLE_ROUTES,
        },
    },
}


@dataclass(frozen=True)
class Use:
    """One processor at its place in a route."""

    name: str
    processor: Processor


@dataclass(frozen=True)
class Route:
    """The processors that its lines pass, and the routes that they go to then."""

    name: str
    through: tuple[Use, ...]
    to: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Settings made ready for one file: the processors in it keep a state."""

    routes: Mapping[str, Route]
    encoding: str
    max_line_chars: int
    max_hops: int
    traced_lines: int

    def uses(self) -> Iterator[tuple[Route, int, Use]]:
        """Yield every use with its route and its place there, from 0."""
        for route in self.routes.values():
            for place, use in enumerate(route.through):
                yield route, place, use


class BadSettings(ValueError):
    """The settings cannot work; `mistakes` are (key path, sentence)."""

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes


def read(settings: Mapping[str, JSON]) -> Plan:
    """Return a fresh plan from `settings` that fit `SCHEMA`.

    Raises:
        BadSettings: with every mistake that the schema cannot see.
    """
    values: Mapping[str, Any] = settings
    mistakes: list[tuple[str, str]] = []
    routes = {
        name: _read_route(name, route, mistakes)
        for name, route in values.get("routes", EXAMPLE_ROUTES).items()
    }
    plan = Plan(
        routes=routes,
        encoding=values.get("encoding", "auto"),
        max_line_chars=values.get("max_line_chars", 1048576),
        max_hops=values.get("max_hops", 64),
        traced_lines=values.get("traced_lines", 20),
    )
    mistakes += [*_lost_targets(plan), *_names_given_twice(plan), *_too_many_tallies(plan)]
    if mistakes:
        raise BadSettings(mistakes)
    return plan


def check(settings: Mapping[str, JSON]) -> list[tuple[str, str]]:
    """Return the mistakes in `settings` that fit `SCHEMA`, as (key path, sentence)."""
    try:
        read(settings)
    except BadSettings as error:
        return error.mistakes
    return []


def _read_route(name: str, route: Mapping[str, Any], mistakes: list[tuple[str, str]]) -> Route:
    uses = []
    for place, use in enumerate(route.get("through", ())):
        options = {"use": use} if isinstance(use, str) else use
        try:
            uses.append(Use(options["use"], PROCESSORS[options["use"]](options, name)))
        except BadOption as error:
            mistakes.append((f"routes.{name}.through[{place}].{error.key}", error.sentence))
    to = route.get("to", END)
    return Route(name, tuple(uses), (to,) if isinstance(to, str) else tuple(to))


def _lost_targets(plan: Plan) -> Iterator[tuple[str, str]]:
    known = {*plan.routes, END}
    for route in plan.routes.values():
        for target in route.to:
            if target not in known and target != BY_TAG:
                yield f"routes.{route.name}.to", f"names the route {target!r}, which there is not"
    if not any(BY_TAG in route.to for route in plan.routes.values()):
        return
    for route, place, use in plan.uses():
        for tag in use.processor.tags():
            if tag not in known:
                key = f"routes.{route.name}.through[{place}]"
                yield key, f"gives the tag {tag!r}, and there is no route of this name"


def _names_given_twice(plan: Plan) -> Iterator[tuple[str, str]]:
    taken = {("file", END_FILE), ("file", UNROUTED_FILE)}
    for route, place, use in plan.uses():
        sink, name = use.processor.sink, use.processor.name
        claim = ("file", sink.file) if sink else (f"name of a {use.name}", name or "")
        if claim[1] and claim in taken:
            key = f"routes.{route.name}.through[{place}]"
            yield key, f"uses the {claim[0]} {claim[1]!r}, which is taken"
        taken.add(claim)


def _too_many_tallies(plan: Plan) -> Iterator[tuple[str, str]]:
    if sum(use.name == "tally" for _, _, use in plan.uses()) > MAX_TALLIES:
        yield "routes", f"have more than {MAX_TALLIES} tallies"
