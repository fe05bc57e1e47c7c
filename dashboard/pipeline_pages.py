"""What the pages of pipelines and replays read: one function a page, few SQL queries each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404

from config.accounts.models import User
from dashboard.graph import Picture, picture_of
from dashboard.names import printable
from dashboard.paging import page_of
from dashboard.queries import owned_run
from dashboard.titles import changes_in_words, title_of_use, titles_of, titles_of_run
from processing import replays
from processing.definitions import definition_of, source_of, versions_for, visible_to
from processing.differences import Difference
from processing.models import Outcome, PipelineVersion, Replay, ReplayItem, Run
from processing.pipelines import PipelineDefinition
from processing.replays import Progress
from uploads.names import names_of

CHANGE = "processing.change_pipeline"
PAGE_SIZE = 50
MAX_REPLAYS = 100


@dataclass(frozen=True)
class PipelineRow:
    """One pipeline in its active version."""

    version: PipelineVersion
    definition: PipelineDefinition

    @property
    def steps(self) -> list[str]:
        """Return the titles of its steps in the order in which they run."""
        steps = self.definition.steps
        return [title_of_use(steps[place]) for place in self.definition.graph.order]


@dataclass(frozen=True)
class PipelinesPage:
    """What can run over the files of a user."""

    rows: Sequence[PipelineRow]
    may_change: bool


def pipelines_page(user: User) -> PipelinesPage:
    """Return what the list of pipelines shows."""
    rows = [PipelineRow(version, definition_of(version)) for version in visible_to(user)]
    return PipelinesPage(rows, user.has_perm(CHANGE))


@dataclass(frozen=True)
class PipelinePage:
    """One version of a pipeline. `source` is for those who may change it: it names owners."""

    version: PipelineVersion
    definition: PipelineDefinition
    graph: Picture
    versions: Sequence[PipelineVersion]
    source: str
    may_change: bool


def pipeline_page(user: User, name: str, number: int | None) -> PipelinePage:
    """Return what the page of one pipeline shows; without a number, of its active version."""
    active = get_object_or_404(visible_to(user), pipeline__name=name)
    versions = list(versions_for(user).filter(pipeline=active.pipeline))
    wanted = active.number if number is None else number
    version = next((version for version in versions if version.number == wanted), None)
    if version is None:
        raise Http404
    may_change = user.has_perm(CHANGE)
    definition = definition_of(version)
    return PipelinePage(
        version=version,
        definition=definition,
        graph=picture_of(definition),
        versions=versions,
        source=source_of(version) if may_change else "",
        may_change=may_change,
    )


@dataclass(frozen=True)
class ReplaysPage:
    """The replays of one user, the newest first."""

    replays: Sequence[Replay]


def replays_page(user: User) -> ReplaysPage:
    """Return what the list of replays shows."""
    found = Replay.objects.owned_by(user).select_related("version__pipeline").order_by("-id")
    return ReplaysPage(list(found[:MAX_REPLAYS]))


@dataclass(frozen=True)
class ReplayRow:
    """One file of a replay."""

    item: ReplayItem
    name: str
    changes: Sequence[str]


@dataclass(frozen=True)
class ReplayPage:
    """One replay: how far it is, and a page of its files."""

    replay: Replay
    progress: Progress
    rows: Sequence[ReplayRow]
    outcome: str
    next_after: int | None

    outcomes = (("", "All"), *Outcome.choices)

    @property
    def deleted(self) -> int:
        """Return how many of its files are gone by now, and their runs with them."""
        return self.replay.size - sum(self.progress.by_state.values())


def replay_page(user: User, replay_id: UUID, *, outcome: str, after: int) -> ReplayPage:
    """Return what the page of one replay shows; what has ended is compared by then."""
    replay = owned_replay(user, replay_id)
    replays.compare(replay)
    items = replay.items.filter(pk__gt=after).order_by("pk")
    if outcome in Outcome.values:
        items = items.filter(outcome=outcome)
    shown, next_after = page_of(items.select_related("upload", "run", "before"), PAGE_SIZE)
    names = names_of([item.upload for item in shown])
    titles = titles_of(definition_of(replay.version))
    return ReplayPage(
        replay=replay,
        progress=replays.progress_of(replay),
        rows=[
            ReplayRow(
                item, printable(names[item.upload_id]), changes_in_words(item.changes, titles)
            )
            for item in shown
        ],
        outcome=outcome if outcome in Outcome.values else "",
        next_after=next_after,
    )


def owned_replay(user: User, replay_id: UUID) -> Replay:
    """Return one replay with its version."""
    owned = Replay.objects.owned_by(user).select_related("version__pipeline")
    return get_object_or_404(owned, pk=replay_id)


@dataclass(frozen=True)
class DifferencesPage:
    """What one run made otherwise than the one before."""

    run: Run
    before: Run | None
    name: str
    differences: Sequence[Difference]  # their steps by title


def differences_page(user: User, run_id: UUID) -> DifferencesPage:
    """Return what the comparison of one run shows."""
    run = owned_run(user, run_id)
    before = replays.run_before(run)
    name = printable(names_of([run.upload])[run.upload_id])
    titles = titles_of_run(run) if before is None else titles_of_run(before) | titles_of_run(run)
    found = [
        replace(each, step=changes_in_words([each.step], titles)[0])
        for each in replays.between(before, run)
    ]
    return DifferencesPage(run, before, name, found)
