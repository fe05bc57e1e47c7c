"""The work itself: open the file, run its steps in the sandbox, record each, end the run."""

import atexit
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import Self
from uuid import UUID

from django.conf import settings

from config.accounts.models import User
from config.errors import AppError
from processing import caps, checking, children, queue, telling, traces
from processing.caps import NoTurn
from processing.definitions import definition_of, subject_of
from processing.journal import Journal
from processing.models import Artifact, Run, RunState
from processing.pauses import jittered
from processing.pipelines import Plan, StepUse
from processing.pipelines.plan import TEXT
from processing.queue import Claim, ClaimLost, Ending
from processing.sandbox import Sandbox, Session, Sitting
from processing.steps import registry
from processing.steps.contract import Output, StepFailed
from processing.traces import Work
from uploads.keys import upload_key, upload_keys
from uploads.models import Blob, Upload
from uploads.policy import policy_for
from uploads.reading import OpenBlob, open_blob
from uploads.storage import BlobMissing
from uploads.validation import Policy

logger = logging.getLogger(__name__)

# Ends that say nothing about the file: the same run may succeed a moment later.
PASSING = frozenset(
    {
        "storage_failed",
        "storage_full",
        "key_unavailable",
        "worker_failed",
        "sandbox_lost",
        "sandbox_not_started",
    }
)
# So long those behind a run wait for it. On a machine that starves every run is slow: with less,
# each would be claimed and written alone, which costs several times as much and starves it more.
PATIENCE_S = 0.5
TURN_S = 2.0  # so long a bundle of one owner keeps a worker; then the next owner has a turn
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=10)


class TryAgain(StepFailed):
    """A step failed whose pipeline grants it another attempt."""


def execute(*claims: Claim) -> None:
    """Run the steps that claimed runs have not finished yet, run after run, and end the runs.

    Whatever happens to a file ends as the state of its run, never as an exception. A lost claim
    ends the work on it silently: the run is somebody else's. When one of the runs turns out to
    be slow, or all of them together, those that have not begun are given back for others to take.
    """
    with queue.held(claims), Bundle(claims) as bundle:
        for claim in bundle:
            with suppress(ClaimLost):
                bundle.journal.leave(claim, _execute(bundle, claim))
        bundle.journal.flush()


def _execute(bundle: "Bundle", claim: Claim) -> Ending:
    try:
        work = bundle.work_of(claim)
        with bundle.open_content(work.run) as content:
            finished = _run_steps(bundle, work, content)
        if finished:
            return Ending(RunState.SUCCEEDED)
        return Ending(RunState.QUEUED, counts=False)
    except ClaimLost:
        raise
    except NoTurn:
        return Ending(RunState.QUEUED, due_at=queue.now() + jittered(caps.PAUSE), counts=False)
    except (StepFailed, AppError) as error:
        return _after(claim, error)
    except Exception as error:
        logger.exception("run interrupted", extra={"run": str(claim.run_id)})
        return _after(claim, error)
    finally:
        logger.info("run left", extra={"run": str(claim.run_id), "attempt": claim.attempt})


def _run_steps(bundle: "Bundle", work: Work, content: OpenBlob) -> bool:
    """Run what is left to run; False when the worker was asked to stop in between.

    A step that fails takes those with it that wait for it. The others run, and then the run
    fails for the reason of the first.
    """
    definition = definition_of(work.run.version)
    upload = work.run.upload
    plan = Plan(definition, subject_of(upload))
    results = traces.outputs_so_far(work)
    failure: StepFailed | None = None
    with bundle.open_session(upload, content) as session:
        checking.run_checks(work, bundle.rules_for(upload.owner), content, session)
        for position in definition.graph.order:
            use = definition.steps[position]
            if use.name in results:
                continue
            if queue.stopping():
                return False
            if cause := plan.obstacle(position, results):
                traces.skip(work, [(position, use.name)], caused_by=cause)
                continue
            text = traces.text_of(work, use.reads) if use.reads else None
            if use.reads and text is None:
                plan.skipped(position)
                traces.skip(work, [(position, use.name)], caused_by=use.reads)
                continue
            try:
                reading = _reading(bundle, session, text)
                results[use.name] = _run_step(work, reading, position, use, results)
            except StepFailed as error:
                if traces.failures(work, position) < use.max_attempts:
                    raise TryAgain(error.code, error.detail) from error
                plan.failed(position)
                failure = failure or error
    if failure is not None:
        raise failure
    return True


@contextmanager
def _reading(bundle: "Bundle", session: Session, text: Artifact | None) -> Iterator[Session]:
    """Give the session over the file, or over the text that another step made of it."""
    if text is None:
        yield session
        return
    with (
        open_blob(text.blob) as content,
        sandbox().open(content, TEXT, pulse=bundle.pulse) as reader,
    ):
        yield reader


def _run_step(
    work: Work,
    reading: AbstractContextManager[Session],
    position: int,
    use: StepUse,
    results: traces.Outputs,
) -> Output:
    """Run a step over what it reads; where that cannot be opened, the step has failed."""
    recorded = traces.recorded(work, position=position, step=use.name, kind=use.step)
    with recorded as recording, reading as session:
        if registry.get(use.step).makes_children:
            recording.outcome = children.hand_in(work, session, use)
        else:
            recording.outcome = session.run(
                use.step,
                settings=use.settings,
                results=results,
                open_artifact=recording.drafts.open,
                wall_s=use.timeout_s,
            )
        if registry.get(use.step).tells:
            telling.tell(work, use, recording, recording.outcome)
    return recording.outcome.output


def _after(claim: Claim, error: Exception) -> Ending:
    """Return how a run is left after `error`: parked with the reason, or queued once more."""
    code, detail = traces.reason_of(error)
    if isinstance(error, checking.NotChecked) and error.pause:
        return Ending(RunState.QUEUED, due_at=queue.now() + error.pause, counts=False)
    again = code in PASSING or isinstance(error, TryAgain)
    if again and claim.attempt < settings.PROCESSING["MAX_ATTEMPTS"]:
        pause = min(FIRST_PAUSE * 2 ** (claim.attempt - 1), LONGEST_PAUSE)
        return Ending(RunState.QUEUED, due_at=queue.now() + jittered(pause))
    return Ending(RunState.FAILED, error_code=code, error_detail=detail)


class Bundle:
    """Claimed runs on their way, with what is read of all of them at once."""

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.journal = Journal(_after, before_threads=self._roam)
        self._sitting: Sitting | None = None
        self._waiting = list(reversed(claims))
        self._at: Claim | None = None
        self._began = self._since = time.monotonic()
        # They are of one owner, and of few versions: those are not read once for each run.
        runs = Run.objects.select_related("upload").prefetch_related("upload__owner", "version")
        self._runs = runs.in_bulk([claim.run_id for claim in claims])
        uploads = [run.upload_id for run in self._runs.values()]
        blobs = Blob.objects.filter(upload__in=uploads, is_content=True)
        self._blobs = {blob.upload_id: blob for blob in blobs}
        self._rules: dict[UUID, Policy] = {}
        self._keys: dict[UUID, bytes] = {}
        if any(claim.attempt > 1 for claim in claims):
            # One of them may have taken its worker with it: each goes alone, or the others would
            # lose their attempts with it.
            self._give_back(self._waiting[:-1])
            self.journal.flush()
        with suppress(AppError):  # which of the runs it concerns, shows when each asks for its key
            self._keys = upload_keys(uploads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sitting is not None:
            self._sitting.close()

    def __iter__(self) -> Iterator[Claim]:
        """Yield the claims one by one, until the rest has been given back."""
        while self._waiting:
            self.journal.flush_if_due()
            # One at least is worked on, however long it took to get here.
            turn_is_over = self._at is not None and time.monotonic() - self._began > TURN_S
            if queue.stopping() or turn_is_over:
                self._give_back(self._waiting)
                return
            self._at, self._since = self._waiting.pop(), time.monotonic()
            yield self._at

    def work_of(self, claim: Claim) -> Work:
        """Begin the work on one run.

        Raises:
            ClaimLost: the run is gone.
            AppError: its key is not to be had.
        """
        run = self._runs.get(claim.run_id)
        if run is None:
            raise ClaimLost
        if claim.fence > 1:
            traces.abandon(run)
        key = self._keys.get(run.upload_id) or upload_key(run.upload_id)
        ready_at = max(run.due_at, run.created_at)
        return Work(claim, run, key, self.journal, ready_at)

    @contextmanager
    def open_content(self, run: Run) -> Iterator[OpenBlob]:
        """Open the file of a run.

        Raises:
            AppError
        """
        blob = self._blobs.get(run.upload_id)
        if blob is None:
            raise BlobMissing
        blob.upload = run.upload
        with open_blob(blob, key=self._keys.get(run.upload_id)) as content:
            yield content

    def open_session(self, upload: Upload, content: OpenBlob) -> Session:
        """Return the session for a file; it may get the child of the one before."""
        if self._sitting is None:
            self._sitting = sandbox().sitting(
                files_per_child=settings.PROCESSING["FILES_PER_CHILD"]
            )
        return self._sitting.open(
            content, upload.media_type, owner=upload.owner_id, pulse=self.pulse
        )

    def rules_for(self, owner: User) -> Policy:
        """Return the policy for an owner, read once for all of their runs."""
        if owner.pk not in self._rules:
            self._rules[owner.pk] = policy_for(owner)
        return self._rules[owner.pk]

    def pulse(self) -> None:
        """Do what cannot wait while a step runs.

        Raises:
            ClaimLost: the run is somebody else's, or was cancelled.
        """
        if self._waiting and time.monotonic() - self._since > PATIENCE_S:
            self._give_back(self._waiting)
        self.journal.flush_if_due()
        if self._at and queue.is_lost(self._at):
            raise ClaimLost

    def _roam(self) -> None:
        if self._sitting is not None:
            sandbox().roam()

    def _give_back(self, claims: list[Claim]) -> None:
        for claim in claims:
            self.journal.leave(claim, Ending(RunState.QUEUED, counts=False))
        self._waiting = [claim for claim in self._waiting if claim not in claims]


def prepare() -> None:
    """Warm up what the first run would wait for. A step that cannot start says so in its run."""
    try:
        sandbox()
    except StepFailed:
        logger.exception("sandbox did not start")


@cache
def sandbox() -> Sandbox:
    """Return the sandbox of this process; its warm child starts now."""
    at_exit = ExitStack()
    atexit.register(at_exit.close)
    return at_exit.enter_context(
        Sandbox(allow_unsandboxed=settings.PROCESSING["ALLOW_UNSANDBOXED"])
    )
