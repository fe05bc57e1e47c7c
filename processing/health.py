"""What must work so that files are worked on."""

from config.health import Health
from processing import queue
from processing.sandbox import Sandbox


def worker() -> Health:
    """Ask for a worker that shows life."""
    return Health.OK if queue.health().ready else Health.FAILED


def sandbox() -> Health:
    """Ask whether the kernel can lock in a step's process; what steps do without is a setting."""
    return Health.OK if Sandbox.support().complete else Health.NOT_INSTALLED
