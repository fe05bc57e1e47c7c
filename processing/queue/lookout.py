"""Tells a worker that is gone from one that could not get round to renewing its lease."""

import time

from processing.queue import ledger
from processing.queue.ledger import Claim


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
        ended = ledger.claims_whose_lease_has_ended()
        self._since = {claim: self._since.get(claim, now) for claim in ended}
        patience_s = ledger.lease().total_seconds() / 3  # longer than the keeper's pause
        given_up = {claim for claim, since in self._since.items() if now - since >= patience_s}
        return ledger.requeue_abandoned(given_up) if given_up else 0
