"""Tells a worker that is gone from one that could not get round to renewing its lease.

One thread of each cluster's main process looks: a worker may be busy for a minute or for an hour
between two of its looks, and what it saw at the first one ends with it.
"""

import logging
import threading
import time

from django.db import connection

from processing.queue import abandoned, ledger
from processing.queue.ledger import Claim

logger = logging.getLogger(__name__)

PAUSE_S = 2.0


class Lookout:
    """Gives claims up whose leases had ended at two looks, with time to renew them in between.

    A machine that starves or sleeps, or a database that somebody locks, keeps everybody from
    renewing; then whoever comes first would find every lease ended, and every worker alive.
    """

    def __init__(self) -> None:
        self._since: dict[Claim, float] = {}

    def look(self) -> int:
        """Make the runs that are abandoned due again, or park them; return how many."""
        now = time.monotonic()
        ended = abandoned.claims_whose_lease_has_ended()
        self._since = {claim: self._since.get(claim, now) for claim in ended}
        patience_s = ledger.lease().total_seconds() / 3  # longer than the keeper's pause
        given_up = {claim for claim, since in self._since.items() if now - since >= patience_s}
        return abandoned.requeue_abandoned(given_up) if given_up else 0


def start() -> None:
    """Look every PAUSE_S seconds, as long as this process lives."""
    threading.Thread(target=_keep_looking, daemon=True, name="lookout").start()


def _keep_looking() -> None:
    lookout = Lookout()
    while True:
        time.sleep(PAUSE_S)
        try:
            lookout.look()
        except Exception:  # whatever it is: without looks no run is ever given up
            logger.warning("no look at the leases", exc_info=True)
            connection.close()
