"""What each page reads: one function a page, a fixed number of SQL queries each.

Every read passes `owned_by`: what belongs to somebody else raises `Http404`, like what never was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from allauth.mfa.utils import is_mfa_enabled
from django.db.models import Q
from django.shortcuts import get_object_or_404

from config.accounts.models import User
from dashboard.chart import Chart, chart_of
from dashboard.family import Family, family_of
from dashboard.findings import Found, found, labels_of, why_held
from dashboard.graph import Picture, picture_of
from dashboard.names import printable
from dashboard.narrowing import ALL, WORKING, Narrowing, counts_of
from dashboard.paging import page_of
from dashboard.reports import Reports, reports_for
from dashboard.results import (
    Record,
    Result,
    failures_of,
    records_of,
    results_of,
    without_content,
)
from dashboard.titles import title_of, title_of_record, titles_of_run
from processing import stats
from processing.definitions import definition_of, visible_to
from processing.models import Pipeline, Run, RunState, StepRecord, StepState
from processing.traces import trace_of
from uploads.media_types import told
from uploads.models import Upload, UploadState
from uploads.names import names_of
from uploads.policy import policy_for
from uploads.quota import Usage, usage
from uploads.validation import Policy

PAGE_SIZE = 50
MAX_RUNS = 20
MAX_LATEST = 8
TOLD = ("run_id", "state", "kind", "step", "error_detail")
NO_RUN = UUID(int=0)


@dataclass(frozen=True)
class FileRow:
    """One line of the inbox. `step` is the title of the step at work, if one is.

    `problem` says why it needs attention, `marks` say in short words what was found in the file.
    """

    upload: Upload
    name: str
    step: str
    problem: str
    marks: Sequence[str]


@dataclass(frozen=True)
class Inbox:
    """The uploads of one user, newest first, and how much of their quota they fill."""

    narrowing: Narrowing
    counts: Mapping[str, int]
    rows: Sequence[FileRow]
    is_first: bool
    next_before: UUID | None
    usage: Usage
    policy: Policy
    reports: Reports

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing in any group."""
        return self.counts["all"] == 0


def inbox(user: User, narrowing: Narrowing = ALL, *, before: UUID | None = None) -> Inbox:
    """Return a page of the uploads that the list is narrowed to, older than `before`."""
    rules = policy_for(user)
    owned = Upload.objects.owned_by(user)
    chosen = narrowing.of_those(owned, owner_id=user.pk)
    if before is not None:
        chosen = chosen.filter(pk__lt=before)
    shown, next_before = page_of(chosen.order_by("-id").prefetch_related("findings"), PAGE_SIZE)
    names = names_of(shown)
    run_ids = [upload.run_id for upload in shown if upload.run_id]
    at_work, unmade = _told_by_records(run_ids)
    failed = Run.objects.owned_by(user).filter(pk__in=run_ids, state=RunState.FAILED)
    problems = dict(failed.values_list("pk", "error_detail"))
    return Inbox(
        narrowing=narrowing,
        counts=counts_of(owned),
        rows=[
            FileRow(
                upload=upload,
                name=printable(names[upload.pk]),
                step=at_work.get(run_id, ""),
                problem=why_held(upload, unmade.get(run_id, "")) or problems.get(run_id, ""),
                marks=labels_of(upload.findings.all()),
            )
            for upload in shown
            for run_id in [upload.run_id or NO_RUN]
        ],
        is_first=before is None,
        next_before=next_before,
        usage=usage(user, rules),
        policy=rules,
        reports=reports_for(user),
    )


def _told_by_records(run_ids: Sequence[UUID]) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """Return by run the title of the step at work, and why a check could not be made."""
    told = Q(state=StepState.RUNNING) | Q(state=StepState.FAILED, position__lt=0)
    records = StepRecord.objects.filter(told, run_id__in=run_ids).order_by("attempt")
    at_work, unmade = {}, {}
    for run_id, state, kind, step, detail in records.values_list(*TOLD):
        if state == StepState.RUNNING:
            at_work[run_id] = title_of(kind or step)
        else:
            unmade[run_id] = detail
    return at_work, unmade


@dataclass(frozen=True)
class UploadPage:
    """One upload: its results, its runs, and what can be run over it."""

    upload: Upload
    name: str
    run: Run | None
    runs: Sequence[Run]
    results: Sequence[Result]
    failures: Sequence[Record]
    pipelines: Sequence[Pipeline]
    steps: Sequence[tuple[str, str]]  # name and title
    findings: Sequence[Found]
    family: Family

    @property
    def is_working(self) -> bool:
        """Tell whether something may still change by itself."""
        return self.upload.state in WORKING


def upload_page(user: User, upload_id: UUID) -> UploadPage:
    """Return what the page of one upload shows."""
    uploads = Upload.objects.owned_by(user).select_related("parent")
    upload = get_object_or_404(uploads, pk=upload_id)
    runs = list(upload.runs.select_related("version__pipeline").order_by("-id")[:MAX_RUNS])
    # The latest run may be one of a replay, which the file does not show.
    run = next((run for run in runs if run.pk == upload.run_id), runs[0] if runs else None)
    records = records_of(run, trace_of(run)) if run else []
    name = names_of([upload])[upload.pk]
    sentence = told(upload.media_type, name=name, declared_type=upload.declared_type)
    return UploadPage(
        upload=upload,
        name=printable(name),
        run=run,
        runs=runs,
        results=[] if upload.held else results_of(records),
        failures=failures_of(records) if upload.state == UploadState.FAILED else [],
        pipelines=[version.pipeline for version in visible_to(user)],
        steps=list(titles_of_run(run).items()) if run else [],
        findings=found(upload.findings.all(), told=sentence),
        family=family_of(upload),
    )


@dataclass(frozen=True)
class UploadName:
    """An upload and how it is called."""

    upload: Upload
    name: str


def upload_name(user: User, upload_id: UUID) -> UploadName:
    """Return one upload and its name."""
    upload = get_object_or_404(Upload.objects.owned_by(user), pk=upload_id)
    return UploadName(upload, printable(names_of([upload])[upload.pk]))


@dataclass(frozen=True)
class RunPage:
    """One run and its trace. `others` are all runs over the same upload, newest first."""

    run: Run
    name: str
    chart: Chart
    records: Sequence[Record]
    others: Sequence[Run]
    graph: Picture

    @property
    def can_cancel(self) -> bool:
        """Tell whether it has not ended."""
        return self.run.state in {RunState.QUEUED, RunState.RUNNING}

    @property
    def can_retry(self) -> bool:
        """Tell whether it ended short of its aim."""
        return self.run.state in {RunState.FAILED, RunState.CANCELLED}


def run_page(user: User, run_id: UUID) -> RunPage:
    """Return what the page of one run shows."""
    run = owned_run(user, run_id)
    records = records_of(run, trace_of(run))
    if run.upload.held:
        records = without_content(records)
    others = list(
        Run.objects.owned_by(user).filter(upload_id=run.upload_id).order_by("-id")[:MAX_RUNS]
    )
    earlier = Run.objects.filter(upload_id=run.upload_id, pk__lt=run.pk)
    return RunPage(
        run=run,
        name=printable(names_of([run.upload])[run.upload_id]),
        chart=chart_of(run, records, is_first=not earlier.exists()),
        records=records,
        others=others,
        graph=picture_of(
            definition_of(run.version),
            {record.view.record.step: record.view.record.state for record in records},
        ),
    )


def owned_run(user: User, run_id: UUID) -> Run:
    """Return one run with its upload and its pipeline version."""
    runs = Run.objects.owned_by(user).select_related("upload", "version__pipeline")
    return get_object_or_404(runs, pk=run_id)


def owned_upload(user: User, upload_id: UUID) -> Upload:
    """Return one upload."""
    return get_object_or_404(Upload.objects.owned_by(user), pk=upload_id)


@dataclass(frozen=True)
class TitledStats:
    """The figures of one step, and its title."""

    title: str
    figures: stats.StepStats


@dataclass(frozen=True)
class Trouble:
    """A run that failed lately, and the file it failed over."""

    run: Run
    name: str


@dataclass(frozen=True)
class StatsPage:
    """Statistics of one user, with the names that the tables show."""

    stats: stats.Stats
    usage: Usage
    steps: Sequence[TitledStats]
    troubles: Sequence[Trouble]
    latest: Sequence[UploadName]


def stats_page(user: User) -> StatsPage:
    """Return what the page of statistics shows."""
    figures = stats.stats_of(user)
    latest = list(Upload.objects.owned_by(user).order_by("-id")[:MAX_LATEST])
    names = names_of([*(run.upload for run in figures.errors), *latest])
    return StatsPage(
        stats=figures,
        usage=usage(user),
        steps=[TitledStats(title_of_record(step.step, step.kind), step) for step in figures.steps],
        troubles=[Trouble(run, printable(names[run.upload_id])) for run in figures.errors],
        latest=[UploadName(upload, printable(names[upload.pk])) for upload in latest],
    )


@dataclass(frozen=True)
class AccountPage:
    """What a user sees of the own account."""

    usage: Usage
    has_second_factor: bool


def account_page(user: User) -> AccountPage:
    """Return what the page of the account shows."""
    return AccountPage(usage=usage(user), has_second_factor=is_mfa_enabled(user))
