"""Makes a definition from YAML, and gives every mistake the line that it is in."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from processing.pipelines.definition import InvalidPipeline, Mistake, PipelineDefinition
from processing.pipelines.reading import parse

MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 30

Lines = dict[str, int]  # by key, as mistakes name it


def read_source(text: str) -> PipelineDefinition:
    """Return the definition that a YAML text describes.

    Raises:
        InvalidPipeline: with every mistake that was found, and its line.
    """
    data, lines = _load(text)
    try:
        return parse(data)
    except InvalidPipeline as error:
        placed = [Mistake(m.key, m.message, _line_of(m.key, lines)) for m in error.mistakes]
        raise InvalidPipeline(sorted(placed, key=lambda m: m.line or 0)) from None


def write_source(definition: PipelineDefinition) -> str:
    """Return a YAML text that says the same, without what goes without saying."""
    data = definition.to_data()
    steps = []
    for use in definition.steps:
        said: dict[str, Any] = {"step": use.step}
        if use.name != use.step:
            said["name"] = use.name
        given = use.to_data()
        said |= {key: given[key] for key in ("needs", "when", "reads") if key in given}
        if use.settings:
            said["settings"] = dict(use.settings)
        if use.timeout_s is not None:
            said["timeout_s"] = use.timeout_s
        if use.max_attempts != 1:
            said["max_attempts"] = use.max_attempts
        steps.append(use.step if list(said) == ["step"] else said)
    return yaml.safe_dump(
        {**data, "steps": steps}, sort_keys=False, allow_unicode=True, default_flow_style=False
    )


def _load(text: str) -> tuple[Any, Lines]:
    if len(text) > MAX_CHARACTERS:
        raise InvalidPipeline([Mistake("", f"has more than {MAX_CHARACTERS} characters.")])
    try:
        _check_events(text)
        node = yaml.compose(text, yaml.SafeLoader)
        if node is None:
            raise InvalidPipeline([Mistake("", "there is nothing in it.", 1)])
        found = list(_places("", node))
        repeated = [Mistake(key, "is there twice.", line) for key, line, again in found if again]
        if repeated:
            raise InvalidPipeline(repeated)
        return yaml.safe_load(text), {key: line for key, line, _ in found}
    except yaml.MarkedYAMLError as error:
        message = f"this is no YAML: {error.problem or error.context}."
        line = _line(error.problem_mark or error.context_mark)
        raise InvalidPipeline([Mistake("", message, line)]) from None
    except (yaml.YAMLError, ValueError):
        raise InvalidPipeline([Mistake("", "this is no YAML.")]) from None


def _check_events(text: str) -> None:
    """Refuse what takes more memory or time than its length lets one expect."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        message = ""
        if isinstance(event, yaml.AliasEvent):
            message = "must be written out: aliases are not read."
        elif depth > MAX_DEPTH:
            message = f"is nested more than {MAX_DEPTH} deep."
        if message:
            raise InvalidPipeline([Mistake("", message, _line(event.start_mark))])


def _line(mark: Any) -> int | None:
    return mark.line + 1 if mark else None


def _places(key: str, node: yaml.Node) -> Iterator[tuple[str, int, bool]]:
    """Yield (key, line, whether the key is there a second time) for all that is in a node."""
    if not key:
        yield key, node.start_mark.line + 1, False
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for name, value in node.value:
            inner = f"{key}.{name.value}" if key else str(name.value)
            yield inner, name.start_mark.line + 1, str(name.value) in seen
            seen.add(str(name.value))
            yield from _places(inner, value)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = f"{key}[{index}]"
            yield inner, value.start_mark.line + 1, False
            yield from _places(inner, value)


def _line_of(key: str, lines: Lines) -> int | None:
    """Return the line of a key, or of the closest thing around it that is there."""
    while key and key not in lines:
        key = re.sub(r"(?:\.[^.\[\]]*|\[[^\[\]]*\]|^[^.\[\]]*)$", "", key)
    return lines.get(key)
