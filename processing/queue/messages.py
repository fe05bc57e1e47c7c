"""What travels: a signed run id in the database, django-q2's task inside a cluster.

A row of the queue holds the id of a run and a signature, nothing else. django-q2 would store a
pickle there, which is a program for whoever can write and sign a row. The task that it delivers
is made from the id by the cluster that took the row, so it can only be one of the two below.
"""

from uuid import UUID, uuid4

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.utils import timezone
from django_q.conf import Conf
from django_q.signing import SignedPackage

EXECUTE = "processing.queue.tasks.execute_run"
TICK = "processing.queue.tasks.tick"

Conf.SECRET_KEY = settings.QUEUE_SIGNING_KEY  # before anything is signed; it took SECRET_KEY


def sign(run_id: UUID) -> str:
    """Return the row's payload for a run."""
    return _signer().sign(str(run_id))


def read(payload: str) -> UUID | None:
    """Return the run of a row; None when we did not write it."""
    try:
        return UUID(_signer().unsign(payload))
    except (BadSignature, ValueError):
        return None


def execute_task(run_id: UUID) -> str:
    """Return the signed task that executes a run."""
    return _task(EXECUTE, str(run_id))


def tick_task() -> str:
    """Return the signed task that lets an idle worker look around."""
    return _task(TICK)


def _task(path: str, *args: str) -> str:
    """Return a package as django-q2's own `async_task` makes it."""
    package: str = SignedPackage.dumps(
        {
            "id": uuid4().hex,
            "name": path.rpartition(".")[2],
            "func": path,
            "args": args,
            "kwargs": {},
            "ack_failure": True,
            "started": timezone.now(),
        }
    )
    return package


def _signer() -> Signer:
    return Signer(key=settings.QUEUE_SIGNING_KEY, salt="processing.queue.run")
