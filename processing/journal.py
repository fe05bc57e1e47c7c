"""What was done in the runs at hand and is not in the database yet.

Notes and endings are collected, and written in one transaction: at the end of a bundle of runs,
or as soon as the oldest of them has waited for VISIBLE_WITHIN_S. So small runs share what a
commit costs, and nobody waits for news of a slow one. Until it is written it has not happened:
a worker that dies leaves nothing half done, and the next one does it again.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from django.conf import settings

from config.events.announce import news
from config.events.models import Event
from processing.artifacts import Draft
from processing.models import StepRecord, StepState
from processing.queue import Claim, ClaimLost, Ending, settle
from processing.webhooks.models import Delivery

logger = logging.getLogger(__name__)

VISIBLE_WITHIN_S = 0.2  # nobody who looks at a page sees the difference
AT_ONCE = 8  # artifacts that are made durable at the same time, where the disk is slow
SLOW_S = 0.001  # it is when one artifact takes longer than this


@dataclass(frozen=True)
class Note:
    """A record as it is by now, and what its step has made: artifacts, words, a finding, messages.

    `is_personal` says whether there are personal data in the file; None where nobody looked.
    """

    record: StepRecord
    drafts: Sequence[Draft] = ()
    terms: Sequence[str] | None = None
    is_personal: bool | None = None
    deliveries: Sequence[Delivery] = ()


@dataclass
class Entry:
    """What is to be written of one run."""

    claim: Claim
    notes: dict[UUID, Note] = field(default_factory=dict)  # by record
    ending: Ending | None = None


class Journal:
    """Of one worker, over the runs that it has claimed. For one thread.

    `on_failure` says how a run is left whose artifacts could not be made durable. `before_threads`
    is called before other threads are given something to do.
    """

    def __init__(
        self,
        on_failure: Callable[[Claim, Exception], Ending],
        *,
        before_threads: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_failure = on_failure
        self._before_threads = before_threads
        self._entries: dict[Claim, Entry] = {}
        self._lost: set[Claim] = set()
        self._oldest_at = float("inf")

    def note(self, claim: Claim, note: Note) -> None:
        """Take note of a record.

        Raises:
            ClaimLost: it turned out that the run is somebody else's.
        """
        self._entry(claim).notes[note.record.pk] = note

    def leave(self, claim: Claim, ending: Ending) -> None:
        """Take note that a run is left; nothing may be noted of it after that.

        Raises:
            ClaimLost
        """
        self._entry(claim).ending = ending

    def flush_if_due(self) -> None:
        """Write what has waited long enough."""
        if time.monotonic() - self._oldest_at >= VISIBLE_WITHIN_S:
            self.flush()

    def flush(self) -> None:
        """Write everything, in one transaction; what is lost is left out, and logged.

        Where the database fails nothing is written, and the claims end with their leases. The
        bytes of artifacts stay then: nobody knows whether a failed commit was one. They are swept.
        """
        from processing import traces  # noqa: PLC0415 - it needs the notes of this module

        entries = list(self._entries.values())
        self._entries.clear()
        self._oldest_at = float("inf")
        if not entries:
            return
        failed = self._make_durable(entries)

        def write(ours: set[UUID]) -> list[Event]:
            written = [entry for entry in entries if entry.claim.run_id in ours]
            traces.write([note for entry in written for note in entry.notes.values()])
            return [event for entry in written for event in _news(entry)]

        ours = settle(
            held=[entry.claim for entry in entries if entry.ending is None],
            endings={entry.claim: entry.ending for entry in entries if entry.ending},
            write=write,
        )
        self._lost.update(failed)
        for entry in entries:
            if entry.claim.run_id not in ours:
                self._lost.add(entry.claim)
                _discard(entry.notes.values())
                ids = {"run": str(entry.claim.run_id), "fence": entry.claim.fence}
                logger.warning("claim lost", extra=ids)
        if settings.PROCESSING["OTLP_ENDPOINT"]:
            from processing import spans  # noqa: PLC0415 - needs an extra

            self._before_threads()
            ended = {entry.claim.run_id for entry in entries if entry.ending}
            spans.send(ours & ended)

    def _entry(self, claim: Claim) -> Entry:
        if claim in self._lost:
            raise ClaimLost
        entry = self._entries.get(claim)
        if entry is None:
            self._oldest_at = min(self._oldest_at, time.monotonic())
            entry = self._entries[claim] = Entry(claim)
        return entry

    def _make_durable(self, entries: Sequence[Entry]) -> list[Claim]:
        """Make all artifacts durable; a run where that fails ends with the step that made them."""
        drafts = [
            draft for entry in entries for note in entry.notes.values() for draft in note.drafts
        ]
        errors = dict(zip(drafts, _commit(drafts, self._before_threads), strict=True))
        failed = []
        for entry in entries:
            for number, note in enumerate(entry.notes.values()):
                if error := next((errors[draft] for draft in note.drafts if errors[draft]), None):
                    self._cut(entry, number, error)
                    failed.append(entry.claim)
                    break
        return failed

    def _cut(self, entry: Entry, number: int, error: Exception) -> None:
        from processing import traces  # noqa: PLC0415 - as above

        notes = list(entry.notes.values())
        _discard(notes[number:])
        record = notes[number].record
        traces.fail(record, error)
        kept = [*notes[:number], Note(record)]
        entry.notes = {note.record.pk: note for note in kept}
        entry.ending = self._on_failure(entry.claim, error)


def _commit(drafts: Sequence[Draft], before_threads: Callable[[], None]) -> list[Exception | None]:
    """Make artifacts durable, and return what went wrong with each.

    One after the other where the disk is fast: threads cost more processor time than they save.
    As soon as one has to wait, the rest waits together.
    """
    errors: list[Exception | None] = []
    for number, draft in enumerate(drafts, 1):
        began = time.monotonic()
        errors.append(_commit_one(draft))
        if time.monotonic() - began > SLOW_S and number < len(drafts):
            before_threads()
            return [*errors, *_pool().map(_commit_one, drafts[number:])]
    return errors


def _commit_one(draft: Draft) -> Exception | None:
    try:
        draft.commit()
    except Exception as error:  # noqa: BLE001 - it becomes the reason of a failed step
        return error
    return None


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="durable")


def _discard(notes: Iterable[Note]) -> None:
    for note in notes:
        for draft in note.drafts:
            draft.discard()


def _news(entry: Entry) -> Iterable[Event]:
    """Return the news of a run that goes on; of one that ends, its end is all the news."""
    if entry.ending is not None:
        return
    for note in entry.notes.values():
        if note.record.state == StepState.SKIPPED:
            continue
        yield news(
            note.record.run.owner_id,
            "step.changed",
            run=note.record.run_id,
            upload=note.record.run.upload_id,
            step=note.record.step,
            position=note.record.position,
            state=note.record.state,
        )
