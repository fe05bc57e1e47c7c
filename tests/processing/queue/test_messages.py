"""What a row of the queue may say."""

import logging
import pydoc
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as project
from django.core import signing
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from processing.queue import BellBroker, messages, tasks
from processing.queue.delivery import Ticks

RUN = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
KEY = project.QUEUE_SIGNING_KEY


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a stored pickle was opened",)


def signed(value: str, key: str = KEY, salt: str = "processing.queue.run") -> str:
    return signing.Signer(key=key, salt=salt).sign(value)


FORGED = {
    "nothing": "",
    "no signature": str(RUN),
    "an empty signature": f"{RUN}:",
    "another run's signature": f"{RUN}:" + signed(str(UUID(int=1))).rpartition(":")[2],
    "signed for sessions": signed(str(RUN), key=project.SECRET_KEY),
    "signed for another purpose": signed(str(RUN), salt="processing.queue.other"),
    "signed for no purpose": signing.Signer(key=KEY).sign(str(RUN)),
    "signed, and no run id": signed("os.system"),
    "signed, and two run ids": signed(f"{RUN} {RUN}"),
    "a task of django-q2": messages.execute_task(RUN),
    "a task that calls something else": SignedPackage.dumps(
        {"id": "1", "name": "x", "func": "os.system", "args": ("true",), "kwargs": {}}
    ),
    "a pickle with the queue's signature": SignedPackage.dumps(Bomb()),
    "not ASCII": "\u00e9" * 40,
    "long": "x" * 100_000,
}


def test_a_message_is_the_id_of_a_run_and_a_signature():
    payload = messages.sign(RUN)
    assert payload.startswith(f"{RUN}:")
    assert messages.read(payload) == RUN


def test_the_queue_signs_with_a_key_of_its_own():
    assert Conf.SECRET_KEY == project.QUEUE_SIGNING_KEY
    assert Conf.SECRET_KEY != project.SECRET_KEY


@pytest.mark.django_db
def test_the_settings_name_our_broker():
    assert isinstance(get_broker(), BellBroker)


@pytest.mark.parametrize("payload", FORGED.values(), ids=FORGED)
@pytest.mark.django_db
def test_a_forged_row_is_dropped_and_reported(payload, caplog, monkeypatch):
    monkeypatch.setattr(Ticks, "due", lambda self: [])
    monkeypatch.setattr("processing.queue.broker.POLL_S", 0)
    OrmQ.objects.create(key=Conf.CLUSTER_NAME, payload=payload)
    broker = BellBroker()
    with caplog.at_level(logging.ERROR):
        assert broker.dequeue() == []
    broker._stop_listening()
    assert "queue message refused" in caplog.text
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(
    ("package", "function", "args"),
    [
        (messages.execute_task(RUN), tasks.execute_run, (str(RUN),)),
        (messages.tick_task(), tasks.tick, ()),
    ],
)
def test_a_task_names_a_function_that_exists(package, function, args):
    task = SignedPackage.loads(package)
    assert pydoc.locate(task["func"]) is function
    assert (task["args"], task["kwargs"]) == (args, {})
