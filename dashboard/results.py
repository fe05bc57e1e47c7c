"""How the output of each step is shown: which template, and what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.titles import title_of, titles_of
from processing.models import Artifact, Run, StepState
from processing.pipelines import parse
from processing.traces import StepView
from uploads.reading import open_blob

EXCERPT_BYTES = 4096
MAX_EXCERPTS = 2  # each costs a look into storage

# What every file has comes after what only this one has.
LAST = frozenset({"media_type", "checksum"})

# Steps with a template of their own. Any other is shown as plain facts.
TEMPLATES = frozenset({
    "archive", "checksum", "csv_profile", "document_text", "image_metadata", "lines",
    "media_facts", "media_type", "members", "ocr", "pdf_text", "personal_data", "search_terms",
    "table_profile", "thumbnail", "validate",
})  # fmt: skip

# Steps whose text is shown from its beginning.
TEXTS = frozenset({"pdf_text", "document_text", "ocr"})


@dataclass(frozen=True)
class Record:
    """A step record under the title that people know it by. `step` is the registered name.

    `because` says what it owes its state to, where that is something else. `attempt` counts the
    attempts at the run.
    """

    view: StepView
    step: str
    title: str
    because: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class Excerpt:
    """The beginning of a text artifact."""

    artifact: Artifact
    text: str
    is_whole: bool


@dataclass(frozen=True)
class Result:
    """What one step made of the file."""

    name: str
    title: str
    template: str
    output: Mapping[str, Any]
    artifacts: Sequence[Artifact]
    excerpts: Sequence[Excerpt]

    @property
    def pictures(self) -> list[Artifact]:
        """Return the artifacts that can be shown as they are."""
        return [a for a in self.artifacts if a.media_type.startswith("image/")]


def records_of(run: Run, trace: Sequence[StepView]) -> list[Record]:
    """Return the records of a run with their titles."""
    definition = parse(run.version.definition)
    steps = {use.name: use.step for use in definition.steps}
    titles = titles_of(definition)
    claims = sorted({_claim_of(view) for view in trace})
    return [
        Record(
            view=view,
            step=steps.get(name, name),
            title=titles.get(name) or title_of(name),
            because=_because(view.record.caused_by, titles),
            attempt=claims.index(_claim_of(view)) + 1,
        )
        for view in trace
        for name in [view.record.step]
    ]


def _claim_of(view: StepView) -> int:
    """Return the claim of the attempt; what was taken over from another run is of the first."""
    return max(1, view.record.attempt)


def _because(cause: str, titles: Mapping[str, str]) -> str:
    return "An earlier run" if cause.startswith("run ") else titles.get(cause) or title_of(cause)


def without_content(records: Sequence[Record]) -> list[Record]:
    """Return the records with nothing that their steps made of the file; checks keep their word."""
    return [
        record
        if record.view.record.position < 0
        else replace(record, view=replace(record.view, output=None, artifacts=[]))
        for record in records
    ]


def results_of(records: Sequence[Record]) -> list[Result]:
    """Return the results of the steps that had their effect, the telling ones first."""
    left = MAX_EXCERPTS
    results = []
    for record in sorted(records, key=lambda record: record.step in LAST):
        if record.view.record.state != StepState.SUCCEEDED or record.view.record.position < 0:
            continue
        texts = [a for a in record.view.artifacts if _is_text(record.step, a)][:left]
        left -= len(texts)
        template = record.step if record.step in TEMPLATES else "facts"
        results.append(
            Result(
                name=record.view.record.step,
                title=record.title,
                template=f"dashboard/results/{template}.html",
                output=record.view.output or {},
                artifacts=record.view.artifacts,
                excerpts=[_excerpt(artifact) for artifact in texts],
            )
        )
    return results


def failures_of(records: Sequence[Record]) -> list[Record]:
    """Return the failed steps in order, each with its latest attempt."""
    latest = {record.view.record.position: record for record in records}
    return [record for record in latest.values() if record.view.record.state == StepState.FAILED]


def _is_text(step: str, artifact: Artifact) -> bool:
    return step in TEXTS and artifact.media_type.startswith("text/")


def _excerpt(artifact: Artifact) -> Excerpt:
    with open_blob(artifact.blob) as blob:
        head = blob.read_at(0, EXCERPT_BYTES)
        return Excerpt(artifact, head.decode("utf-8", "ignore"), blob.size <= EXCERPT_BYTES)
