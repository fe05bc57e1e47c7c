"""How steps are called on pages: by titles, not by the names that programs use."""

from collections.abc import Iterable, Mapping

from processing.models import Run
from processing.pipelines import PipelineDefinition, StepUse, parse
from processing.steps.registry import REGISTRY

CHECKS = {
    "archive_limits": "Archive limits",
    "antivirus": "Virus scanner",
    "yara": "YARA rules",
}
# What a comparison names besides steps.
COMPARED = {"run": "The run", "step": "The step", "state": "State"}


def title_of(step: str) -> str:
    """Return the title of a registered step; the name itself, if it is registered no more."""
    known = REGISTRY.get(step)
    return known.title if known else CHECKS.get(step, step)


def title_of_use(use: StepUse) -> str:
    """Return how a step of a pipeline is called; where its author named it, with that name."""
    return _named(title_of(use.step), use.step, use.name)


def title_of_record(step: str, kind: str) -> str:
    """Return how a recorded step is called; `kind` is the registered step, where it is known."""
    return _named(title_of(kind), kind, step) if kind else title_of(step)


def _named(title: str, step: str, name: str) -> str:
    """Add what a name says besides the step: `checksum_of_copy` is "Checksum (of copy)"."""
    if name == step:
        return title
    return f"{title} ({name.removeprefix(f'{step}_').replace('_', ' ')})"


def titles_of(definition: PipelineDefinition) -> dict[str, str]:
    """Return how the steps of a pipeline are called, by name."""
    return {use.name: title_of_use(use) for use in definition.steps}


def titles_of_run(run: Run) -> dict[str, str]:
    """Return how the steps of a run are called, by name."""
    return titles_of(parse(run.version.definition))


def changes_in_words(changes: Iterable[str], titles: Mapping[str, str]) -> list[str]:
    """Write in titles what `processing.differences.names_of` says."""
    words = []
    for change in changes:
        step, colon, artifact = change.partition(": ")
        words.append(f"{titles.get(step) or COMPARED.get(step, step)}{colon}{artifact}")
    return words
