"""Run many files once more on another pipeline version, and see what it would change.

The runs of a replay are in the background: whatever else is due goes first. The uploads keep
showing their own runs; `adopt` lets them show the new ones.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from config.accounts.models import User
from config.events.announce import announce
from processing import queue, traces
from processing.definitions import definition_of
from processing.differences import Difference, Made, differences, names_of
from processing.errors import NothingToReplay, ReplayGoesOn, RunHasEnded, TooMuchToReplay
from processing.models import (
    Outcome,
    PipelineVersion,
    Priority,
    Replay,
    ReplayItem,
    Run,
    RunState,
)
from processing.pipelines import is_for
from processing.runs import ENDED, cancel_run
from processing.traces import Effect
from uploads.errors import UnknownPipeline
from uploads.models import Upload

logger = logging.getLogger(__name__)

MAX_FILES = 10_000
WITHHELD = "(withheld: the file is held)"
AT_ONCE = 500  # files compared in one go


@dataclass(frozen=True)
class Selection:
    """Which files of an owner: these, or all that are so. Empty means any.

    `pipeline` is the one whose run they show now.
    """

    uploads: Sequence[UUID] = ()
    pipeline: str = ""
    media_type: str = ""
    state: str = ""
    folder: str = ""
    tag: str = ""

    def of(self, owner: User) -> QuerySet[Upload]:
        """Return the uploads of `owner` that are chosen, the oldest first."""
        chosen = Upload.objects.owned_by(owner).order_by("id")
        if self.uploads:
            chosen = chosen.filter(pk__in=self.uploads)
        if self.pipeline:
            runs = Run.objects.filter(pk=OuterRef("run_id"), version__pipeline__name=self.pipeline)
            chosen = chosen.filter(Exists(runs))
        if self.tag:
            chosen = chosen.filter(tags__contains=f" {self.tag} ")
        for column in ("media_type", "state", "folder"):
            if value := getattr(self, column):
                chosen = chosen.filter(**{column: value})
        return chosen


@dataclass(frozen=True)
class Progress:
    """How far a replay is: files by what became of their runs and of the comparison."""

    by_state: dict[str, int]
    by_outcome: dict[str, int]

    @property
    def is_over(self) -> bool:
        """Tell whether every run has ended."""
        return not any(self.by_state.get(state) for state in (RunState.QUEUED, RunState.RUNNING))


@transaction.atomic
def start_replay(*, owner: User, version: PipelineVersion, selection: Selection) -> Replay:
    """Queue a run on `version` over every chosen file of `owner`.

    Raises:
        UnknownPipeline, NothingToReplay, TooMuchToReplay: nothing was made.
    """
    if not is_for(definition_of(version), owner=owner.get_username()):
        raise UnknownPipeline
    shown = Run.objects.filter(pk=OuterRef("run_id")).values("pk")
    chosen = selection.of(owner).annotate(shown=Subquery(shown)).values_list("pk", "shown")
    uploads = list(chosen[: MAX_FILES + 1])
    if not uploads:
        raise NothingToReplay
    if len(uploads) > MAX_FILES:
        raise TooMuchToReplay
    now = timezone.now()
    replay = Replay.objects.create(
        owner=owner,
        version=version,
        selection={key: value for key, value in asdict(selection).items() if key != "uploads"},
        size=len(uploads),
        created_at=now,
    )
    runs = [
        Run(
            upload_id=upload_id,
            owner=owner,
            version=version,
            priority=Priority.BACKGROUND,
            created_at=now,
            due_at=queue.now(),
        )
        for upload_id, _ in uploads
    ]
    Run.objects.bulk_create(runs, batch_size=AT_ONCE)
    ReplayItem.objects.bulk_create(
        (
            ReplayItem(replay=replay, upload_id=upload_id, run=run, before_id=before)
            for (upload_id, before), run in zip(uploads, runs, strict=True)
        ),
        batch_size=AT_ONCE,
    )
    announce(owner.pk, "replay.changed", replay=replay.pk)
    for run in runs[: settings.PROCESSING["WORKERS"]]:  # each that wakes up goes on by itself
        queue.submit(run.pk)
    logger.info("replay started", extra={"replay": str(replay.pk), "files": len(runs)})
    return replay


def progress_of(replay: Replay) -> Progress:
    """Return how far a replay is, in two queries."""
    items = replay.items.order_by()
    states = items.values_list("run__state").annotate(Count("id"))
    outcomes = items.values_list("outcome").annotate(Count("id"))
    return Progress(dict(states), dict(outcomes))


def compare(replay: Replay) -> int:
    """Compare the next files whose runs have ended; return how many."""
    ended = replay.items.filter(outcome=Outcome.PENDING, run__state__in=ENDED)
    items = list(ended.select_related("run__version", "before__version")[:AT_ONCE])
    runs = [run for item in items for run in (item.run, item.before) if run is not None]
    effects = traces.effects_of(runs) if runs else {}
    for item in items:
        found = _between(item.before, item.run, effects)
        item.changes = names_of(found)
        item.outcome = Outcome.CHANGED if found else Outcome.SAME
    ReplayItem.objects.bulk_update(items, ["changes", "outcome"])
    return len(items)


def run_before(run: Run) -> Run | None:
    """Return what a run is compared with: what its file showed before, or else the run before."""
    runs = Run.objects.filter(upload_id=run.upload_id).select_related("version__pipeline")
    item = ReplayItem.objects.select_related("before__version__pipeline").filter(run=run).first()
    if item is not None:
        return item.before
    return runs.filter(pk__lt=run.pk).order_by("-id").first()


def between(before: Run | None, after: Run) -> list[Difference]:
    """Return what two runs over one file made differently; with values, unless it is held."""
    runs = [run for run in (before, after) if run is not None]
    found = _between(before, after, traces.effects_of(runs))
    if not after.upload.held:
        return found
    return [Difference(step, WITHHELD, None, None) for step in dict.fromkeys(d.step for d in found)]


@transaction.atomic
def adopt(replay: Replay) -> int:
    """Let the files show the runs of a replay; return how many now do.

    A file that was run anew since keeps what it shows, and so does one whose replay was cancelled.

    Raises:
        ReplayGoesOn
    """
    if not progress_of(replay).is_over:
        raise ReplayGoesOn
    items = replay.items.filter(
        upload=OuterRef("pk"),
        before_id=OuterRef("run_id"),
        run__state__in=(RunState.SUCCEEDED, RunState.FAILED),
    )
    shown = Upload.objects.filter(Exists(items), owner=replay.owner_id)
    adopted = shown.update(
        run_id=Subquery(items.values("run_id")[:1]), state=Subquery(items.values("run__state")[:1])
    )
    Replay.objects.filter(pk=replay.pk).update(adopted_at=timezone.now())
    announce(replay.owner_id, "replay.changed", replay=replay.pk)
    logger.info("replay adopted", extra={"replay": str(replay.pk), "files": adopted})
    return adopted


def cancel_replay(replay: Replay) -> int:
    """End the runs of a replay that have not ended; return how many."""
    cancelled = 0
    for run in Run.objects.filter(replay_item__replay=replay).exclude(state__in=ENDED):
        with suppress(RunHasEnded):
            cancel_run(run)
            cancelled += 1
    return cancelled


def _between(
    before: Run | None, after: Run, effects: dict[UUID, dict[str, Effect]]
) -> list[Difference]:
    found = []
    if before is None or before.state != after.state or before.error_code != after.error_code:
        was = _state_of(before) if before is not None else None
        found.append(Difference("run", "state", was, _state_of(after)))
    made_before = _made(before, effects) if before is not None else {}
    return found + differences(made_before, _made(after, effects))


def _state_of(run: Run) -> str:
    return f"{run.state} ({run.error_code})" if run.error_code else run.state


def _made(run: Run, effects: dict[UUID, dict[str, Effect]]) -> dict[str, Made]:
    steps = {use.name: use.step for use in definition_of(run.version).steps}
    return {
        name: Made(
            step=steps.get(name, name),
            output=effect.output,
            artifacts={artifact.name: artifact.sha256 for artifact in effect.artifacts},
        )
        for name, effect in effects.get(run.pk, {}).items()
    }
