"""What differs between two results of the same file. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from processing.steps import registry

MAX_SHOWN = 200
MAX_CHARACTERS = 300
NOTHING = object()


@dataclass(frozen=True)
class Made:
    """What a step made: its output, and the SHA-256 of each artifact by name."""

    step: str
    output: Mapping[str, Any]
    artifacts: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One value that is another one now; None where there is none."""

    step: str
    key: str
    before: str | None
    after: str | None


def differences(
    before: Mapping[str, Made], after: Mapping[str, Made], *, at_most: int = MAX_SHOWN
) -> list[Difference]:
    """Return what differs, step by step. Values that differ each time do not count."""
    return list(islice(_all(before, after), at_most))


def names_of(found: list[Difference]) -> list[str]:
    """Return what differs without its values: `lines`, or `lines: lines.txt` for an artifact."""
    names = (f"{d.step}: {d.key}" if _is_artifact(d.key) else d.step for d in found)
    return list(dict.fromkeys(name.replace("artifact ", "") for name in names))


def _is_artifact(key: str) -> bool:
    return key.startswith("artifact ")


def _all(before: Mapping[str, Made], after: Mapping[str, Made]) -> Iterator[Difference]:
    for step in dict.fromkeys((*before, *after)):
        old, new = before.get(step), after.get(step)
        if old is None or new is None:
            made = (None, "made") if old is None else ("made", None)
            yield Difference(step, "step", *made)
            continue
        varies = _varies(old) | _varies(new)
        yield from _of_values(step, "", old.output, new.output, varies)
        for name in dict.fromkeys((*old.artifacts, *new.artifacts)):
            digests = old.artifacts.get(name), new.artifacts.get(name)
            if digests[0] != digests[1]:
                yield Difference(step, f"artifact {name}", *digests)


def _varies(made: Made) -> frozenset[str]:
    step = registry.REGISTRY.get(made.step)
    return step.varies if step else frozenset()


def _of_values(
    step: str, key: str, old: Any, new: Any, varies: frozenset[str]
) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            if name not in varies:
                inner = f"{key}.{name}" if key else str(name)
                values = old.get(name, NOTHING), new.get(name, NOTHING)
                yield from _of_values(step, inner, *values, varies)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            was, is_now = (
                entries[index] if index < len(entries) else NOTHING for entries in (old, new)
            )
            yield from _of_values(step, f"{key}[{index}]", was, is_now, varies)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Difference(step, key, _written(old), _written(new))


def _written(value: Any) -> str | None:
    if value is NOTHING:
        return None
    text = value if isinstance(value, str) else repr(value)
    cut = text[:MAX_CHARACTERS]
    return text if cut == text else f"{cut}\N{HORIZONTAL ELLIPSIS}"
