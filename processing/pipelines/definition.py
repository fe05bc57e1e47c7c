"""What a pipeline is. `reading.py` makes one from data, `source.py` from YAML."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from config.errors import AppError
from processing.pipelines.graph import Graph, Node
from processing.steps.contract import JSON


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong; `key` is where, such as `steps[1].settings.side`.

    `line` counts from 1, where the text is known that the author wrote.
    """

    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


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

    `timeout_s` None means the step's own limit. `max_attempts` counts the first one. `needs`
    None means the step that is written before this one. `when` is a condition; empty is always.
    `reads` names the step whose text this one reads in place of the file.
    """

    name: str
    step: str
    settings: Mapping[str, JSON] = field(default_factory=dict)
    timeout_s: float | None = None
    max_attempts: int = 1
    needs: tuple[str, ...] | None = None
    when: str = ""
    reads: str = ""

    def to_data(self) -> dict[str, JSON]:
        """Return what the reader makes the same use from."""
        data: dict[str, JSON] = {
            "name": self.name,
            "step": self.step,
            "settings": dict(self.settings),
            "timeout_s": self.timeout_s,
            "max_attempts": self.max_attempts,
        }
        if self.needs is not None:
            data["needs"] = list(self.needs)
        if self.when:
            data["when"] = self.when
        if self.reads:
            data["reads"] = self.reads
        return data


@dataclass(frozen=True)
class PipelineDefinition:
    """A graph of steps, and which files it is for.

    `steps` are in the order in which they were written; `graph` says in which they run. Where
    `owners`, `folders` or `tags` are given, only such files come here.
    """

    name: str
    title: str
    media_types: tuple[str, ...]
    steps: tuple[StepUse, ...]
    owners: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def to_data(self) -> dict[str, JSON]:
        """Return what `parse` makes the same definition from."""
        labels = {"owners": self.owners, "folders": self.folders, "tags": self.tags}
        return {
            "name": self.name,
            "title": self.title,
            "media_types": list(self.media_types),
            **{key: list(values) for key, values in labels.items() if values},
            "steps": [use.to_data() for use in self.steps],
        }

    @cached_property
    def graph(self) -> Graph:
        """Return which step waits for which."""
        return Graph.of([Node(use.name, use.needs) for use in self.steps])

    @property
    def digest(self) -> str:
        """SHA-256 of what `to_data` gives, hexadecimal; the order of keys does not matter."""
        data = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(data.encode()).hexdigest()
