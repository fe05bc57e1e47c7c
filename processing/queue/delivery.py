"""What every way of delivery gives to django-q2's pusher."""

import time
from collections.abc import Sequence
from uuid import UUID

from django_q.conf import Conf

from processing.queue import messages

POLL_S = 1.0  # how long a lost ring can go unnoticed
TICK_S = 2.0  # how long it takes until due runs without a message, or given-up ones, are seen
AT_ONCE = 500  # messages

Delivery = tuple[None, str]  # an id to acknowledge, which we have no use for, and a signed task


class Ticks:
    """Tells every TICK_S seconds that each worker should look around."""

    def __init__(self) -> None:
        self._ticked_at = float("-inf")

    def due(self) -> Sequence[str]:
        """Return a task for each worker, or nothing yet."""
        if time.monotonic() - self._ticked_at < TICK_S:
            return []
        self._ticked_at = time.monotonic()
        return [messages.tick_task() for _ in range(Conf.WORKERS)]


def tasks_for(run_ids: Sequence[UUID], ticks: Ticks) -> list[Delivery]:
    """Return the tasks that execute these runs, and those of a tick that is due."""
    tasks = [messages.execute_task(run_id) for run_id in run_ids]
    return [(None, task) for task in (*tasks, *ticks.due())]
