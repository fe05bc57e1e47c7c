"""Keeps the leases of this process's claims alive, however long their steps take."""

import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings
from django.db import connection

from processing.queue.ledger import Claim, settle

logger = logging.getLogger(__name__)


@contextmanager
def held(claims: Collection[Claim]) -> Iterator[None]:
    """Renew these claims until the end of the block."""
    keeper = _keeper()
    keeper.claims |= set(claims)
    try:
        yield
    finally:
        keeper.claims -= set(claims)
        keeper.lost -= set(claims)


def is_lost(claim: Claim) -> bool:
    """Tell whether it turned out that a held claim is somebody else's by now."""
    lost = _keeper().lost
    return bool(lost) and claim in lost


class Keeper:
    """One thread for all claims, with a connection of its own. Sets are replaced, never changed."""

    def __init__(self) -> None:
        self.claims: frozenset[Claim] = frozenset()
        self.lost: frozenset[Claim] = frozenset()
        self._pause_s = settings.PROCESSING["LEASE_S"] / 4
        threading.Thread(target=self._keep, daemon=True, name="keeper").start()

    def _keep(self) -> None:
        before = self.claims
        pause_s = self._pause_s
        while True:
            time.sleep(pause_s)
            pause_s = self._pause_s
            claims = self.claims & before  # most are left long before they need it
            if claims and not self._renew(claims):
                pause_s /= 5  # the lease has run on meanwhile
            before = self.claims

    def _renew(self, claims: Collection[Claim]) -> bool:
        """Renew them, and note those that are lost; False when the database could not be asked."""
        try:
            ours = settle(held=claims, endings={})
        except Exception:  # whatever it is: a keeper that ends loses every lease
            logger.warning("leases not renewed", exc_info=True)
            return False
        finally:
            connection.close()
        self.lost |= {claim for claim in claims if claim.run_id not in ours}
        return True


@cache
def _keeper() -> Keeper:
    return Keeper()
