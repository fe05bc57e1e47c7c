"""Whether the cluster of this process has been asked to stop."""

from processing.queue.lockless import Flag

STOP = Flag()  # inherited by every process that the cluster's main process forks


def stopping() -> bool:
    """Tell a worker that it should leave its run as soon as it can."""
    return STOP.is_set()
