"""Which pipeline a file goes through, by its media type."""

from collections.abc import Iterable

from processing.pipelines.definition import PipelineDefinition
from processing.steps.contract import matches


def route(media_type: str, definitions: Iterable[PipelineDefinition]) -> PipelineDefinition | None:
    """Return the definition whose pattern fits `media_type` most closely, None if none fits.

    A full type wins over `type/*`, that over `*/*`; among equals the first name in the alphabet.
    """
    fitting = [
        (_looseness(pattern), definition.name, definition)
        for definition in definitions
        for pattern in definition.media_types
        if matches(pattern, media_type)
    ]
    return min(fitting, key=lambda fit: fit[:2])[2] if fitting else None


def _looseness(pattern: str) -> int:
    return (pattern == "*/*") + pattern.endswith("/*")
