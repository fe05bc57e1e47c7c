"""The required checks of a file. They come before its first step, and each leaves a record.

A check that could not be made is no pass: the run waits and tries again, and the file is held
meanwhile, unless the policy of its owner lets what is not checked go on.
"""

from datetime import timedelta
from types import MappingProxyType

from django.db import transaction

from processing import queue, traces
from processing.definitions import definition_of
from processing.queue import ClaimLost
from processing.sandbox import Session
from processing.scanning import CHECKS, Subject
from processing.steps.contract import StepFailed
from processing.traces import Outputs, Work
from uploads import verdicts
from uploads.models import Verdict
from uploads.reading import OpenBlob
from uploads.validation import CHECKS as KNOWN
from uploads.validation import Action, Policy

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
MAX_TRIES = 24  # about three hours
# What no other try would change while the file and the installation are what they are.
LASTING = frozenset({"archive_not_read", "archive_reader_missing", "archive_unsupported"})


# Before the first step, which stands at 0.
POSITIONS = MappingProxyType({name: at - len(KNOWN) for at, name in enumerate(KNOWN)})


class NotChecked(StepFailed):
    """A required check could not be made. `pause` is how long to wait for the next try, if any."""

    def __init__(self, pause: timedelta | None) -> None:
        super().__init__("not_checked", "A required check of the file could not be made.")
        self.pause = pause


class Quarantined(StepFailed):
    """The file must not be worked on."""

    def __init__(self) -> None:
        super().__init__("quarantined", "The file is in quarantine.")


def run_checks(work: Work, rules: Policy, content: OpenBlob, session: Session) -> None:
    """Make the checks that `rules` require and this run has not made yet; write the verdict.

    Raises:
        Quarantined, NotChecked: no step may run.
    """
    upload = work.run.upload
    needed = rules.checks_for(upload.media_type)
    if upload.released_at or (not needed and upload.verdict == Verdict.PASSED):
        return
    made = traces.checks_so_far(work) if needed else {}
    missed = {}
    for name in needed:
        if name not in made and (why := _make(work, name, Subject(upload, content, session, made))):
            missed[name] = why
    verdict = _conclude(work, rules, made, list(missed))
    if verdict == Verdict.QUARANTINED:
        _skip_steps(work)
        raise Quarantined
    if verdict == Verdict.NOT_CHECKED and rules.hold_unchecked:
        tries = max(traces.failures(work, POSITIONS[name]) for name in missed)
        raise NotChecked(None if LASTING.issuperset(missed.values()) else _pause(tries))


def _make(work: Work, name: str, subject: Subject) -> str:
    """Make one check and add its answer to those that are made; or return why it has none."""
    try:
        with traces.recorded(work, position=POSITIONS[name], step=name, kind=name) as recording:
            recording.outcome = CHECKS[name](subject)
        subject.made[name] = recording.outcome.output
    except StepFailed as error:
        return error.code
    return ""


def _conclude(work: Work, rules: Policy, made: Outputs, missed: list[str]) -> Verdict:
    upload = work.run.upload
    work.journal.flush()  # the records of the checks stand before what is concluded from them
    actions = {name: _actions(output.get("findings"), rules) for name, output in made.items()}
    stops = {Action.QUARANTINE, Action.REFUSE}
    with transaction.atomic():
        if not queue.renew(work.claim):
            raise ClaimLost
        for name, found in actions.items():
            verdicts.keep_findings(upload.pk, found, source=name)
        if upload.findings.filter(action__in=stops, source=verdicts.INTAKE).exists() or any(
            stops.intersection(found.values()) for found in actions.values()
        ):
            verdict, held = Verdict.QUARANTINED, True
        elif missed:
            verdict, held = Verdict.NOT_CHECKED, rules.hold_unchecked
        else:
            verdict, held = Verdict.PASSED, False
        verdicts.conclude(upload, verdict, held=held)
    return verdict


def _skip_steps(work: Work) -> None:
    done = traces.outputs_so_far(work)
    uses = enumerate(definition_of(work.run.version).steps)
    rest = [(position, use.name) for position, use in uses if use.name not in done]
    traces.skip(work, rest, caused_by="quarantined")


def _actions(codes: object, rules: Policy) -> dict[str, Action]:
    found = codes if isinstance(codes, list) else []
    return {code: rules.action_on(code) for code in map(str, found)}


def _pause(failures: int) -> timedelta | None:
    if failures >= MAX_TRIES:
        return None
    doublings: int = 2 ** min(failures - 1, 10)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)
