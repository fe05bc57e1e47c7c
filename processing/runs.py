"""What can be done with a run: start, cancel, retry."""

from django.db import transaction
from django.utils import timezone

from config.events.announce import announce
from config.prepared import PreparedUpdate
from config.rows import insert
from processing import definitions, queue, traces
from processing.errors import RunHasEnded, RunHasNotEnded, UnknownStep
from processing.models import PipelineVersion, Run, RunState
from uploads.models import Upload

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
RETRIABLE = (RunState.FAILED, RunState.CANCELLED)

_LATEST = PreparedUpdate(
    Upload,
    lambda upload, state, run: (
        Upload.objects.filter(pk=upload),
        {"state": state, "run_id": run},
    ),
)


@transaction.atomic(savepoint=False)
def start_run(
    *,
    upload: Upload,
    pipeline: str | None = None,
    version: int | None = None,
    from_step: str = "",
) -> Run:
    """Make a run over `upload` and its queue entry, in one transaction.

    Without a pipeline the upload itself decides. With `from_step`, that step and all that wait
    for it run; the results of the others are taken over from the latest run of the same version.

    Raises:
        UnknownPipeline, UnknownVersion, UnknownStep, NoPipeline: nothing was made.
    """
    now = timezone.now()
    chosen = definitions.choose(definitions.subject_of(upload), name=pipeline, number=version)
    run = Run(
        upload=upload,
        owner_id=upload.owner_id,
        version=chosen,
        from_step=from_step,
        created_at=now,
        due_at=queue.now(),
    )
    insert([run])
    if from_step:
        _take_over_before(run, chosen, from_step)
    upload.state, upload.run_id = run.state, run.pk
    _LATEST(upload=upload.pk, state=run.state, run=run.pk)
    announce(run.owner_id, "run.changed", run=run.pk, upload=upload.pk, state=run.state)
    queue.submit(run.pk)
    return run


@transaction.atomic
def cancel_run(run: Run) -> None:
    """End a run that has not ended. A worker in the middle of it finds its claim lost.

    Raises:
        RunHasEnded
    """
    if not queue.cancel(run.pk):
        raise RunHasEnded
    traces.abandon(run)


@transaction.atomic
def retry_run(run: Run) -> Run:
    """Queue a failed or cancelled run again; steps that have had their effect keep it.

    Raises:
        RunHasNotEnded
    """
    if not queue.requeue(run.pk):
        raise RunHasNotEnded
    run.refresh_from_db()
    return run


def _take_over_before(run: Run, version: PipelineVersion, from_step: str) -> None:
    definition = definitions.definition_of(version)
    names = [use.name for use in definition.steps]
    if from_step not in names:
        raise UnknownStep
    place = names.index(from_step)
    graph = definition.graph
    kept = set(graph.order) - {place} - graph.after(place)
    source = Run.objects.filter(upload_id=run.upload_id, version=version).exclude(pk=run.pk)
    latest = source.order_by("-id").first()
    needed = {names[before] for before in graph.before(place)}
    if latest is None:
        settled: set[str] = set()
    else:
        settled = {*traces.take_over(latest, run, positions=kept), *traces.skipped(latest)}
    if not needed <= settled:
        raise UnknownStep
