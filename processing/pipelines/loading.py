"""The pipelines that come with Strongroom, read from the YAML files beside this module."""

from functools import cache
from importlib.resources import files

from processing.pipelines.definition import PipelineDefinition
from processing.pipelines.source import read_source


@cache
def builtin() -> tuple[PipelineDefinition, ...]:
    """Return them by name."""
    folder = files("processing.pipelines") / "builtin"
    sources = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    definitions = [read_source(source.read_text("utf-8")) for source in sources]
    return tuple(sorted(definitions, key=lambda definition: definition.name))
