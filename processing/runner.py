"""The work itself: open the file, run its steps in the sandbox, record each, end the run."""

import atexit
import logging
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import connection
from django.utils import timezone

from config.errors import AppError
from processing import checking, queue, traces
from processing.definitions import definition_of, subject_of
from processing.models import Run, RunState
from processing.pipelines import Plan, StepUse
from processing.queue import Claim, ClaimLost
from processing.sandbox import Sandbox, Session
from processing.steps.contract import Output, StepFailed
from processing.traces import Work
from uploads.keys import upload_key
from uploads.reading import open_content

logger = logging.getLogger(__name__)

# Ends that say nothing about the file: the same run may succeed a moment later.
PASSING = frozenset({"storage_failed", "storage_full", "key_unavailable", "worker_failed"})
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=10)


class TryAgain(StepFailed):
    """A step failed whose pipeline grants it another attempt."""


def execute(claim: Claim) -> None:
    """Run the steps that a claimed run has not finished yet, and end the run.

    Whatever happens to the file ends as the state of its run, never as an exception. A lost
    claim ends the work silently: the run is somebody else's.
    """
    run = Run.objects.select_related("upload__owner", "version__pipeline").get(pk=claim.run_id)
    try:
        with _renewed(claim):
            _execute(claim, run)
    except ClaimLost:
        logger.warning("claim lost", extra={"run": str(run.pk), "fence": claim.fence})


def _execute(claim: Claim, run: Run) -> None:
    try:
        traces.abandon(run.pk)
        work = Work(claim, run, upload_key(run.upload_id))
        if _run_steps(work):
            queue.finish(claim, RunState.SUCCEEDED)
        else:
            queue.release(claim, due_at=timezone.now(), counts=False)
    except ClaimLost:
        raise
    except (StepFailed, AppError) as error:
        _end_badly(claim, error)
    except Exception as error:
        logger.exception("run interrupted", extra={"run": str(run.pk)})
        _end_badly(claim, error)
    logger.info("run left", extra={"run": str(run.pk), "attempt": claim.attempt})


def _run_steps(work: Work) -> bool:
    """Run what is left to run; False when the worker was asked to stop in between.

    A step that fails takes those with it that wait for it. The others run, and then the run
    fails for the reason of the first.
    """
    definition = definition_of(work.run.version)
    upload = work.run.upload
    plan = Plan(definition, subject_of(upload))
    results = traces.outputs_so_far(work)
    failure: StepFailed | None = None
    with (
        open_content(upload) as content,
        sandbox().open(content, upload.media_type) as session,
    ):
        checking.run_checks(work, content, session)
        for position in definition.graph.order:
            use = definition.steps[position]
            if use.name in results:
                continue
            if queue.stopping():
                return False
            if cause := plan.obstacle(position, results):
                traces.skip(work, [(position, use.name)], caused_by=cause)
                continue
            try:
                results[use.name] = _run_step(work, session, position, use, results)
            except StepFailed as error:
                if traces.failures(work, position) < use.max_attempts:
                    raise TryAgain(error.code, error.detail) from error
                plan.failed(position)
                failure = failure or error
    if failure is not None:
        raise failure
    return True


def _run_step(
    work: Work, session: Session, position: int, use: StepUse, results: traces.Outputs
) -> Output:
    with traces.recorded(work, position=position, step=use.name) as recording:
        recording.outcome = session.run(
            use.step,
            settings=use.settings,
            results=results,
            open_artifact=recording.drafts.open,
            wall_s=use.timeout_s,
        )
    return recording.outcome.output


def _end_badly(claim: Claim, error: Exception) -> None:
    code, detail = traces.reason_of(error)
    if isinstance(error, checking.NotChecked) and error.pause:
        queue.release(claim, due_at=timezone.now() + error.pause, counts=False)
        return
    again = code in PASSING or isinstance(error, TryAgain)
    if again and claim.attempt < settings.PROCESSING["MAX_ATTEMPTS"]:
        pause = min(FIRST_PAUSE * 2 ** (claim.attempt - 1), LONGEST_PAUSE)
        due_at = timezone.now() + pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        queue.release(claim, due_at=due_at)
        return
    queue.finish(claim, RunState.FAILED, error_code=code, error_detail=detail)


@contextmanager
def _renewed(claim: Claim) -> Iterator[None]:
    """Keep the lease alive while a long step runs."""
    done = threading.Event()
    pause_s = settings.PROCESSING["LEASE_S"] / 4

    def keep_renewing() -> None:
        while not done.wait(pause_s) and queue.renew(claim):
            pass
        connection.close()

    thread = threading.Thread(target=keep_renewing, daemon=True, name="renew")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@cache
def sandbox() -> Sandbox:
    """Return the sandbox of this process; its warm child starts with the first run."""
    at_exit = ExitStack()
    atexit.register(at_exit.close)
    return at_exit.enter_context(
        Sandbox(allow_unsandboxed=settings.PROCESSING["ALLOW_UNSANDBOXED"])
    )
