"""Every step there is, by name: the built-in ones and those of installed packages. Pure.

Importing this module imports every step: a sandboxed process can import nothing later, and a
package whose step cannot be used must stop the start instead of a run.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from processing.steps import (
    archive,
    checksum,
    csv_profile,
    document_text,
    image_metadata,
    lines,
    media_facts,
    media_type,
    members,
    ocr,
    pdf_text,
    personal_data,
    search_terms,
    table_profile,
    thumbnail,
    to_parquet,
    validate,
    webhook,
)
from processing.steps.contract import Step

ENTRY_POINTS = "strongroom.steps"

BUILT_IN: tuple[Step, ...] = (
    checksum.step,
    media_type.step,
    lines.step,
    csv_profile.step,
    pdf_text.step,
    ocr.step,
    thumbnail.step,
    archive.step,
    members.step,
    document_text.step,
    personal_data.step,
    image_metadata.step,
    media_facts.step,
    search_terms.step,
    table_profile.step,
    to_parquet.step,
    validate.step,
    webhook.step,
)


class UnknownStep(LookupError):
    """No step has this name."""


class UnusableStep(Exception):
    """A package offers a step that cannot be registered; the message says which and why."""


def collect(built_in: Iterable[Step], offered: Iterable[EntryPoint]) -> Mapping[str, Step]:
    """Return all steps by name, the built-in ones first.

    Raises:
        UnusableStep: what is offered is no step, has another name than its entry point, or a
            name that is taken.
    """
    steps = {step.name: step for step in built_in}
    for entry in sorted(offered, key=lambda entry: entry.name):
        step = entry.load()
        if not isinstance(step, Step):
            raise UnusableStep(f"{entry.value} is not a Step.")
        if step.name != entry.name:
            raise UnusableStep(f"{entry.value} is named {step.name!r}, not {entry.name!r}.")
        if step.name in steps:
            raise UnusableStep(f"{entry.value}: there is a step {step.name!r} already.")
        steps[step.name] = step
    return MappingProxyType(steps)


REGISTRY = collect(BUILT_IN, entry_points(group=ENTRY_POINTS))


def get(name: str) -> Step:
    """Return the step named `name`.

    Raises:
        UnknownStep: there is none.
    """
    try:
        return REGISTRY[name]
    except KeyError:
        raise UnknownStep(name) from None
