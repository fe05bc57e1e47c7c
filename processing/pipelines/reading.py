"""Makes a definition from data, as read from YAML or JSON, with a message for every mistake."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from processing.pipelines import conditions
from processing.pipelines.conditions import BadCondition
from processing.pipelines.definition import (
    InvalidPipeline,
    Mistake,
    PipelineDefinition,
    StepUse,
)
from processing.pipelines.graph import Cycle
from processing.steps import registry
from processing.steps.contract import JSON, Step

MAX_STEPS = 50
MAX_ATTEMPTS = 10
MAX_TIMEOUT_S = 6 * 60 * 60
KEYS = ("name", "title", "media_types", "owners", "folders", "tags", "steps")
STEP_KEYS = ("name", "step", "needs", "when", "reads", "settings", "timeout_s", "max_attempts")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PATTERN = re.compile(r"\*/\*|[a-z]+/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)")


def parse(data: object) -> PipelineDefinition:
    """Return the definition that `data`, as read from YAML or JSON, describes.

    Raises:
        InvalidPipeline: with every mistake that was found.
    """
    reader = _Reader()
    definition = reader.pipeline(data)
    if reader.mistakes:
        raise InvalidPipeline(reader.mistakes)
    return definition


class _Reader:
    """Reads on after a mistake, so that an author sees all of them at once."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def pipeline(self, data: object) -> PipelineDefinition:
        fields = self.mapping("", data, KEYS)
        name = self.name("name", fields.get("name"))
        title = fields.get("title", name or "?")
        if not isinstance(title, str) or not 0 < len(title) <= 100:
            self.wrong("title", "must be a text of 1 to 100 characters.")
            title = ""
        patterns = [
            self.media_type(f"media_types[{index}]", pattern)
            for index, pattern in self.entries("media_types", fields.get("media_types"))
        ]
        steps = [
            self.step_use(f"steps[{index}]", use)
            for index, use in self.entries("steps", fields.get("steps"), at_most=MAX_STEPS)
        ]
        labels = {
            key: tuple(self.label(f"{key}[{index}]", label) for index, label in entries)
            for key in ("owners", "folders", "tags")
            if key in fields
            for entries in [self.entries(key, fields[key])]
        }
        definition = PipelineDefinition(name, title, tuple(patterns), tuple(steps), **labels)
        if self.names_are_clear(steps):
            self.check_graph(definition)
        return definition

    def names_are_clear(self, steps: Sequence[StepUse]) -> bool:
        """Tell whether every step has a name of its own, and needs steps that there are."""
        names = [use.name for use in steps]
        clear = bool(names) and all(names)
        for index, use in enumerate(steps):
            first = names.index(use.name)
            if use.name and first < index:
                self.wrong(f"steps[{index}].name", f"{use.name!r} is the name of steps[{first}].")
                clear = False
            for place, need in enumerate(use.needs or ()):
                if need not in names:
                    there_is = ", ".join(name for name in names if name)
                    self.wrong(
                        f"steps[{index}].needs[{place}]",
                        f"there is no step {need!r} in this pipeline; there is {there_is}.",
                    )
                    clear = False
        return clear

    def check_graph(self, definition: PipelineDefinition) -> None:
        names = [use.name for use in definition.steps]
        try:
            graph = definition.graph
        except Cycle as cycle:
            index = names.index(cycle.names[1])
            self.wrong(f"steps[{index}].needs", f"steps wait for each other: {cycle}.")
            return
        for index, use in enumerate(definition.steps):
            before = sorted(names[place] for place in graph.before(index))
            asked: dict[str, Iterable[str]] = {
                "when": conditions.read(use.when).steps if use.when else (),
                "reads": (use.reads,) if use.reads else (),
            }
            for key, looked_at in asked.items():
                for name in sorted(set(looked_at).difference(before)):
                    self.wrong(
                        f"steps[{index}].{key}",
                        f"looks at {name!r}, which {use.name!r} does not wait for; "
                        f"before it come: {', '.join(before) or 'none'}.",
                    )

    def step_use(self, key: str, data: object) -> StepUse:
        if isinstance(data, str):
            data = {"step": data}
        fields = self.mapping(key, data, STEP_KEYS)
        if not fields:
            return StepUse("", "")
        step = self.step(f"{key}.step", fields.get("step"))
        name = fields.get("name", step.name if step else "")
        if step or name:
            name = self.name(f"{key}.name", name)
        settings = self.settings(f"{key}.settings", step, fields.get("settings", {}))
        timeout_s = self.timeout(f"{key}.timeout_s", fields.get("timeout_s"))
        attempts = self.attempts(f"{key}.max_attempts", fields.get("max_attempts", 1))
        needs = self.needs(f"{key}.needs", fields["needs"]) if "needs" in fields else None
        when = self.condition(f"{key}.when", fields["when"]) if "when" in fields else ""
        reads = self.name(f"{key}.reads", fields["reads"]) if "reads" in fields else ""
        if reads and step and step.makes_children:
            self.wrong(f"{key}.reads", f"{step.name!r} reads the file itself.")
        used = step.name if step else ""
        return StepUse(name, used, settings, timeout_s, attempts, needs, when, reads)

    def step(self, key: str, value: object) -> Step | None:
        if value is None:
            self.wrong(key, "is missing.")
            return None
        if isinstance(value, str) and value in registry.REGISTRY:
            return registry.get(value)
        self.wrong(key, f"there is no step {value!r}; there is {', '.join(registry.REGISTRY)}.")
        return None

    def settings(self, key: str, step: Step | None, data: object) -> Mapping[str, JSON]:
        try:
            settings: Any = json.loads(json.dumps(data, allow_nan=False))
        except (TypeError, ValueError, RecursionError):  # YAML has dates, sets and loops
            self.wrong(key, "must be what JSON can say.")
            return {}
        for where, message in _wrong_settings(step, settings) if step else ():
            self.wrong(f"{key}{where}", message)
        return settings if isinstance(settings, dict) else {}

    def needs(self, key: str, data: object) -> tuple[str, ...]:
        if not isinstance(data, list) or len(data) > MAX_STEPS:
            self.wrong(key, "must be a list of names of steps of this pipeline; [] needs none.")
            return ()
        for index, name in enumerate(data):
            if not isinstance(name, str):
                self.wrong(f"{key}[{index}]", "must be the name of a step of this pipeline.")
            elif name in data[:index]:
                self.wrong(f"{key}[{index}]", f"{name!r} is named twice.")
        return tuple(name for name in data if isinstance(name, str))

    def condition(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, 'must be a condition, such as: size < 5 MiB and "draft" in tags')
            return ""
        try:
            conditions.read(value)
        except BadCondition as error:
            self.wrong(key, str(error))
            return ""
        return value.strip()

    def timeout(self, key: str, value: Any) -> float | None:
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and 0 < value <= MAX_TIMEOUT_S:
            return float(value)
        self.wrong(key, f"must be a number of seconds, above 0 and at most {MAX_TIMEOUT_S}.")
        return None

    def attempts(self, key: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ATTEMPTS:
            return value
        self.wrong(key, f"must be a whole number from 1 to {MAX_ATTEMPTS}.")
        return 1

    def name(self, key: str, value: object) -> str:
        if isinstance(value, str) and _NAME.fullmatch(value):
            return value
        self.wrong(
            key,
            "is missing."
            if value is None
            else "must start with a-z and have at most 40 of a-z, 0-9, '_' and '-'.",
        )
        return ""

    def label(self, key: str, value: object) -> str:
        if isinstance(value, str) and 0 < len(value) <= 150 and not value.isspace():
            return value
        self.wrong(key, "must be a text of 1 to 150 characters; * stands for any of them.")
        return ""

    def media_type(self, key: str, value: object) -> str:
        if isinstance(value, str) and _PATTERN.fullmatch(value):
            return value
        self.wrong(key, "must be a media type in lower case, such as text/csv, text/* or */*.")
        return ""

    def mapping(self, key: str, data: object, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(data, dict):
            self.wrong(key, f"must be a mapping with the keys {', '.join(known)}.")
            return {}
        for other in data:
            if other not in known:
                where = f"{key}.{other}" if key else str(other)
                self.wrong(where, f"is not a known key; known are {', '.join(known)}.")
        return data

    def entries(
        self, key: str, data: object, at_most: int = MAX_STEPS
    ) -> Iterator[tuple[int, object]]:
        if not isinstance(data, list) or not 0 < len(data) <= at_most:
            self.wrong(
                key, "is missing." if data is None else f"must be a list of 1 to {at_most} entries."
            )
            return
        yield from enumerate(data)

    def wrong(self, key: str, message: str) -> None:
        self.mistakes.append(Mistake(key, message))


def _wrong_settings(step: Step, settings: Any) -> Iterator[tuple[str, str]]:
    """Yield (key path below the settings, message)."""
    schema = step.settings_schema or {"type": "object", "maxProperties": 0}
    errors = sorted(Draft202012Validator(schema).iter_errors(settings), key=lambda e: e.json_path)
    for error in errors:
        yield error.json_path.removeprefix("$"), _sentence(error)
    if not errors and step.check_settings is not None:
        for where, sentence in step.check_settings(settings):
            yield f".{where}", f"{sentence}."


def _sentence(error: ValidationError) -> str:
    if error.validator == "maxProperties" and error.validator_value == 0:
        return "must be empty: this step has no settings."
    return f"{error.message}."
