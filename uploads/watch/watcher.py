"""The loop that looks after all drop folders, one small turn each."""

import logging
import math
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.db import DatabaseError, close_old_connections

from config.accounts.models import User
from config.errors import AppError
from uploads.watch.door import FolderDoor, Stopped
from uploads.watch.folders import DropFolder, Found
from uploads.watch.notices import Notices

logger = logging.getLogger(__name__)

SWEEP_PAUSE_S = 30.0  # notices can be lost; and new users get their folders
NOTES_PAUSE_S = 0.5
INCOMPLETE_PAUSE_S = 1.0
LONGEST_WAIT_S = 0.5  # so soon a signal to stop is seen
FILES_A_TURN = 16  # then it is the next user's turn
PASSING = (AppError, DatabaseError, Stopped)  # what says nothing about the file itself


@dataclass
class _Desk:
    """What is to be done for one user. `due_at` is when to look next, on the monotonic clock."""

    door: FolderDoor
    due_at: float = 0.0
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
        sweep_at = notes_at = 0.0
        while not self._stopped:
            now = time.monotonic()
            if now >= sweep_at:
                self._guarded(self.sweep)
                sweep_at = time.monotonic() + SWEEP_PAUSE_S
            if now >= notes_at:
                self._guarded(self.close_notes)
                notes_at = time.monotonic() + NOTES_PAUSE_S
            self._wait(0 if self.take_turns() else LONGEST_WAIT_S)
        for desk in self._desks.values():
            desk.leave_until(math.inf)

    def sweep(self) -> None:
        """Fit the folders to the users, take up what was left, and look into every folder."""
        close_old_connections()
        users = {user.username: user for user in User.objects.filter(is_active=True)}
        for name in self._desks.keys() - users.keys():
            self._desks.pop(name).leave_until(math.inf)
        for name, user in users.items():
            self._guarded(partial(self._sweep_user, name, user))

    def close_notes(self) -> None:
        """Finish the receipts of all users."""
        for desk in self._desks.values():
            if desk.door.waiting:
                desk.door.close_notes()

    def take_turns(self) -> bool:
        """Take a few files of each user; tell whether there is more to do at once."""
        return sum(self._turn(name, desk) for name, desk in self._desks.items()) > 0

    def _sweep_user(self, name: str, user: User) -> None:
        if name in (".", ".."):  # Django accepts these names, and they are no folders of ours
            return
        folder = DropFolder(self._root / name)
        folder.make()
        if name not in self._desks:
            self._desks[name] = _Desk(FolderDoor(user, folder, lambda: self._stopped))
        desk = self._desks[name]
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
