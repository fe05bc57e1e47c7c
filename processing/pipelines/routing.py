"""Which pipeline a file goes through.

Of the pipelines whose every condition the file meets, the one that knows most of it: naming its
owner weighs more than naming its folder, that more than naming a tag, that more than naming its
type closely (a full type, then `type/*`, then `*/*`). Among equals the first name counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from processing.pipelines.definition import PipelineDefinition
from processing.steps.contract import matches


@dataclass(frozen=True)
class Subject:
    """What is known of a file before it is opened. `size` in bytes."""

    media_type: str
    size: int = 0
    door: str = ""
    owner: str = ""
    folder: str = ""
    tags: tuple[str, ...] = ()

    def facts(self, steps: Mapping[str, Any]) -> dict[str, Any]:
        """Return what conditions look at; `steps` are the outputs by name."""
        return {
            "media_type": self.media_type,
            "size": self.size,
            "door": self.door,
            "folder": self.folder,
            "owner": self.owner,
            "tags": list(self.tags),
            "steps": steps,
        }


def route(subject: Subject, definitions: Iterable[PipelineDefinition]) -> PipelineDefinition | None:
    """Return the definition that fits `subject` most closely, None if none fits."""
    fitting = [
        (*_looseness(definition), _type_looseness(pattern), definition.name, definition)
        for definition in definitions
        if is_for(definition, owner=subject.owner)
        and _fits(definition.folders, [subject.folder])
        and _fits(definition.tags, subject.tags)
        for pattern in definition.media_types
        if matches(pattern, subject.media_type)
    ]
    return min(fitting, key=lambda fit: fit[:-1])[-1] if fitting else None


def is_for(definition: PipelineDefinition, *, owner: str) -> bool:
    """Tell whether files of `owner` may go through a pipeline at all."""
    return _fits(definition.owners, [owner])


def _fits(patterns: tuple[str, ...], labels: Iterable[str]) -> bool:
    return not patterns or any(fnmatchcase(label, p) for label in labels for p in patterns)


def _looseness(definition: PipelineDefinition) -> tuple[bool, bool, bool]:
    return not definition.owners, not definition.folders, not definition.tags


def _type_looseness(pattern: str) -> int:
    return (pattern == "*/*") + pattern.endswith("/*")
