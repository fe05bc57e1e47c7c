"""Pipelines are data: read, checked, told apart by a hash, chosen for a file, planned. Pure."""

from processing.pipelines.definition import (
    InvalidPipeline,
    Mistake,
    PipelineDefinition,
    StepUse,
)
from processing.pipelines.loading import builtin
from processing.pipelines.plan import Plan
from processing.pipelines.reading import parse
from processing.pipelines.routing import Subject, is_for, route
from processing.pipelines.source import read_source, write_source

__all__ = [
    "InvalidPipeline",
    "Mistake",
    "PipelineDefinition",
    "Plan",
    "StepUse",
    "Subject",
    "builtin",
    "is_for",
    "parse",
    "read_source",
    "route",
    "write_source",
]
