"""The loop that looks after all drop folders, one small turn each."""

import logging
import math
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from config.errors import AppError
from uploads import drop_reports
from uploads.watch import states
from uploads.watch.door import FolderDoor, Stopped
from uploads.watch.folders import DropFolder, Found
from uploads.watch.notices import Notices
from uploads.watch.places import Place, places
from uploads.watch.tidying import remove_old

logger = logging.getLogger(__name__)

SWEEP_PAUSE_S = 30.0  # notices can be lost; and new users get their folders
TIDY_PAUSE_S = 60 * 60.0
NOTES_PAUSE_S = 0.5
INCOMPLETE_PAUSE_S = 1.0
LONGEST_WAIT_S = 0.5  # so soon a signal to stop is seen
FILES_A_TURN = 16  # then it is the next folder's turn
PASSING = (AppError, DatabaseError, Stopped)  # what says nothing about the file itself


@dataclass
class _Desk:
    """What is to be done in one folder. `due_at` is when to look next, on the monotonic clock, and
    `notes_due_at` when to look after its receipts."""

    door: FolderDoor
    due_at: float = 0.0
    notes_due_at: float = 0.0
    looking: Generator[Found, None, None] | None = None

    def leave_until(self, due_at: float) -> None:
        if self.looking is not None:
            self.looking.close()
            self.looking = None
        self.due_at = due_at


class Watcher:
    """Takes in what users put into their folders under `root`, until it is told to stop."""

    def __init__(self, root: Path, notices: Notices) -> None:
        self._root = root
        self._notices = notices
        self._desks: dict[str, _Desk] = {}
        self._stopped = False

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Look after the folders until `stop` is called."""
        sweep_at = notes_at = tidy_at = 0.0
        while not self._stopped:
            now = time.monotonic()
            if now >= sweep_at:
                self._guarded(self.sweep)
                sweep_at = time.monotonic() + SWEEP_PAUSE_S
            if now >= tidy_at:
                self.tidy()
                tidy_at = time.monotonic() + TIDY_PAUSE_S
            if now >= notes_at:
                self.close_notes()
                notes_at = time.monotonic() + NOTES_PAUSE_S
            self._wait(0 if self.take_turns() else LONGEST_WAIT_S)
        for desk in self._desks.values():
            desk.leave_until(math.inf)

    def sweep(self) -> None:
        """Fit the folders to the users, take up what was left, and look into every folder."""
        close_old_connections()
        found = {place.key: place for place in places(self._root)}
        for key in self._desks.keys() - found.keys():
            self._desks.pop(key).leave_until(math.inf)
        problems: dict[str, Exception | None] = {}
        for key, place in found.items():
            problems[key] = self._guarded(partial(self._sweep_place, place))
        states.tell(
            [
                states.state_of(place, polled=self._notices.polled(key), problem=problems[key])
                for key, place in found.items()
            ]
        )

    def tidy(self) -> None:
        """Remove what has been kept for long enough."""
        for desk in self._desks.values():
            self._guarded(partial(_tidy, desk.door))

    def close_notes(self) -> None:
        """Finish the receipts of all folders; where that fails, again with the next sweep."""
        now = time.monotonic()
        for desk in self._desks.values():
            if desk.door.waiting and now >= desk.notes_due_at:
                failed = self._guarded(desk.door.close_notes) is not None
                desk.notes_due_at = now + SWEEP_PAUSE_S if failed else 0.0

    def take_turns(self) -> bool:
        """Take a few files of each folder; tell whether there is more to do at once."""
        return sum(self._turn(name, desk) for name, desk in self._desks.items()) > 0

    def _sweep_place(self, place: Place) -> None:
        folder = DropFolder(place.root)
        folder.make()
        desk = self._desks.get(place.key)
        if desk is None or desk.door.place.root != place.root:
            desk = self._desks[place.key] = _Desk(FolderDoor(place, lambda: self._stopped))
        desk.door.place = place
        desk.due_at = 0.0
        for claimed in folder.leftovers():
            self._guarded(partial(desk.door.take, claimed))

    def _turn(self, name: str, desk: _Desk) -> bool:
        now = time.monotonic()
        if desk.looking is None:
            if now < desk.due_at:
                return False
            desk.due_at = math.inf
            desk.looking = desk.door.folder.look(partial(self._notices.watch, topic=name))
        for _ in range(FILES_A_TURN):
            if self._stopped:
                return False
            failure = self._guarded(partial(self._offer_next, desk))
            if isinstance(failure, PASSING):
                desk.leave_until(now + SWEEP_PAUSE_S)
            if desk.looking is None:
                return desk.due_at <= now
        return True

    def _offer_next(self, desk: _Desk) -> None:
        found = next(desk.looking, None) if desk.looking is not None else None
        if found is None:
            desk.looking = None
        elif not desk.door.offer(found):
            desk.due_at = min(desk.due_at, time.monotonic() + INCOMPLETE_PAUSE_S)

    def _wait(self, timeout_s: float) -> None:
        due_in = min((desk.due_at for desk in self._desks.values()), default=math.inf)
        due_in -= time.monotonic()
        topics = self._notices.wait(max(0.0, min(timeout_s, due_in)))
        for topic in self._desks if topics is None else topics:
            if topic in self._desks:
                self._desks[topic].due_at = 0.0

    def _guarded(self, act: Callable[[], None]) -> Exception | None:
        """Do something that may fail without stopping the rest; return what went wrong."""
        try:
            act()
        except Stopped as error:
            return error
        except Exception as error:  # noqa: BLE001 - one file or one moment, not the watcher
            # Without the message, which may hold a file name.
            place = traceback.extract_tb(error.__traceback__)[-1]
            logger.error(  # noqa: TRY400
                "drop folder: something failed and is tried again",
                extra={
                    "error": type(error).__name__,
                    "at": f"{Path(place.filename).name}:{place.lineno}",
                },
            )
            close_old_connections()
            return error
        return None


def _tidy(door: FolderDoor) -> None:
    given = settings.UPLOADS
    remove_old(
        door.folder,
        receipt_days=given["DROP_RECEIPT_DAYS"],
        refused_days=given["DROP_REFUSED_DAYS"],
    )
    drop_reports.forget_old(door.place.owner)
