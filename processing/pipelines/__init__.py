"""Pipelines are data: read, checked, told apart by a hash, and chosen by media type. Pure."""

from processing.pipelines.definition import (
    InvalidPipeline,
    Mistake,
    PipelineDefinition,
    StepUse,
    parse,
)
from processing.pipelines.loading import builtin
from processing.pipelines.routing import route

__all__ = [
    "InvalidPipeline",
    "Mistake",
    "PipelineDefinition",
    "StepUse",
    "builtin",
    "parse",
    "route",
]
