"""Take in what users put into their drop folders, until stopped."""

import fcntl
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.startup.refusal import KEYS
from uploads.watch.notices import best_notices
from uploads.watch.watcher import Watcher


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = [KEYS]  # `up` makes the others, and starts this one often

    def handle(self, **_: Any) -> None:
        root = Path(settings.UPLOADS["DROP_DIR"])
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (root / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CommandError(
                    "Another watcher looks after the drop folders already: stop that one first."
                ) from None
            notices = best_notices(
                settings.UPLOADS["DROP_POLLING"], settings.UPLOADS["DROP_POLL_S"]
            )
            watcher = Watcher(root, notices)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: watcher.stop())
            # The question who is writing a file can, in a rare moment, be answered by a signal.
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            with closing(notices):
                watcher.run()
