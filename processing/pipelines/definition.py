"""What a pipeline is, and how one is made from YAML or JSON data, with a message a mistake."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from config.errors import AppError
from processing.steps import registry
from processing.steps.contract import JSON, Step

MAX_STEPS = 50
MAX_ATTEMPTS = 10
MAX_TIMEOUT_S = 6 * 60 * 60
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PATTERN = re.compile(r"\*/\*|[a-z]+/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)")


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong; `key` is where, such as `steps[1].settings.side`."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class InvalidPipeline(AppError):
    """A definition has mistakes: all of them are in `mistakes`, for its author."""

    code = "pipeline_invalid"
    status = 422
    detail = "The pipeline definition has mistakes."

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(self.detail)
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class StepUse:
    """One step at its place in a pipeline; `name` is unique there.

    `timeout_s` None means the step's own limit. `max_attempts` counts the first one.
    """

    name: str
    step: str
    settings: Mapping[str, JSON] = field(default_factory=dict)
    timeout_s: float | None = None
    max_attempts: int = 1


@dataclass(frozen=True)
class PipelineDefinition:
    """Steps, in order, for files of some media types. After a step that fails none runs."""

    name: str
    title: str
    media_types: tuple[str, ...]
    steps: tuple[StepUse, ...]

    def to_data(self) -> dict[str, JSON]:
        """Return what `parse` makes the same definition from."""
        return {
            "name": self.name,
            "title": self.title,
            "media_types": list(self.media_types),
            "steps": [
                {
                    "name": use.name,
                    "step": use.step,
                    "settings": dict(use.settings),
                    "timeout_s": use.timeout_s,
                    "max_attempts": use.max_attempts,
                }
                for use in self.steps
            ],
        }

    @property
    def digest(self) -> str:
        """SHA-256 of what `to_data` gives, hexadecimal; the order of keys does not matter."""
        data = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(data.encode()).hexdigest()


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
        fields = self.mapping("", data, ("name", "title", "media_types", "steps"))
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
        for index, use in enumerate(steps):
            first = [other.name for other in steps].index(use.name)
            if use.name and first < index:
                self.wrong(f"steps[{index}].name", f"{use.name!r} is the name of steps[{first}].")
        return PipelineDefinition(name, title, tuple(patterns), tuple(steps))

    def step_use(self, key: str, data: object) -> StepUse:
        if isinstance(data, str):
            data = {"step": data}
        keys = ("name", "step", "settings", "timeout_s", "max_attempts")
        fields = self.mapping(key, data, keys)
        if not fields:
            return StepUse("", "")
        step = self.step(f"{key}.step", fields.get("step"))
        name = fields.get("name", step.name if step else "")
        if step or name:
            name = self.name(f"{key}.name", name)
        settings = self.settings(f"{key}.settings", step, fields.get("settings", {}))
        timeout_s = self.timeout(f"{key}.timeout_s", fields.get("timeout_s"))
        attempts = self.attempts(f"{key}.max_attempts", fields.get("max_attempts", 1))
        return StepUse(name, step.name if step else "", settings, timeout_s, attempts)

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
