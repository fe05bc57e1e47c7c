"""Whether a step of a run may run: what stands in its way, if anything."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from processing.pipelines import conditions
from processing.pipelines.definition import PipelineDefinition
from processing.pipelines.routing import Subject
from processing.steps import registry

MEDIA_TYPE, WHEN = "media_type", "when"  # causes of a skip that are no steps
TEXT = "text/plain"  # as what the text is read that another step has made


class Plan:
    """One way through the graph. Ask for the steps in the order of the graph.

    A step does not run if one that it waits for, directly or not, has failed; if it cannot read
    the type of the file; if its condition does not hold; or if its author named what it needs,
    and all of that was skipped.
    """

    def __init__(self, definition: PipelineDefinition, subject: Subject) -> None:
        self._definition = definition
        self._subject = subject
        self._lost: dict[int, str] = {}  # failed, or waits for what failed -> what failed
        self._skipped: set[int] = set()

    def failed(self, place: int) -> None:
        """Note that a step has failed for good."""
        self._lost[place] = self._definition.steps[place].name

    def skipped(self, place: int) -> None:
        """Note that a step was not run, since there is nothing for it to read."""
        self._skipped.add(place)

    def obstacle(self, place: int, results: Mapping[str, Any]) -> str:
        """Return because of what a step is skipped, empty if it may run.

        `results` are the outputs of the steps that have had their effect, by name.
        """
        needs = self._definition.graph.needs[place]
        if cause := next((self._lost[need] for need in needs if need in self._lost), ""):
            self._lost[place] = cause
            return cause
        use = self._definition.steps[place]
        chosen = needs if self._definition.graph.chosen[place] else ()
        if chosen and all(need in self._skipped for need in chosen):
            cause = self._definition.steps[chosen[0]].name
        elif not registry.get(use.step).reads(TEXT if use.reads else self._subject.media_type):
            cause = MEDIA_TYPE
        elif use.when and not _condition(use.when).holds(self._subject.facts(results)):
            cause = WHEN
        if cause:
            self._skipped.add(place)
        return cause


@lru_cache(maxsize=1000)
def _condition(text: str) -> conditions.Condition:
    return conditions.read(text)
