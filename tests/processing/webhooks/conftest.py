"""An endpoint that leads to a receiver on this machine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processing.webhooks import endpoints, targets
from processing.webhooks.events import EVENTS
from processing.webhooks.models import Delivery, Endpoint
from tests.processing.webhooks.receiver import HOST, Receiver, receiving


@pytest.fixture
def allow(settings: Any) -> Callable[..., None]:
    """Change settings of webhooks."""

    def change(**values: Any) -> None:
        webhooks = {**settings.PROCESSING["WEBHOOKS"], **values}
        settings.PROCESSING = {**settings.PROCESSING, "WEBHOOKS": webhooks}

    return change


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to; nothing asks a name server."""
    known = {HOST: ["127.0.0.1"]}
    monkeypatch.setattr(targets, "resolve", lambda host, port: list(known.get(host, [])))
    return known


@pytest.fixture
def receiver(allow: Callable[..., None], names: dict[str, list[str]]) -> Iterator[Receiver]:
    with receiving() as receiver:
        allow(HTTP=True, PORTS=[receiver.port], NETWORKS=["127.0.0.0/8"])
        yield receiver


@pytest.fixture
def made(owner: Any, receiver: Receiver) -> tuple[Endpoint, str]:
    """An endpoint for every event, and its secret."""
    return endpoints.create(owner, name="books", url=receiver.url, events=list(EVENTS))


@pytest.fixture
def endpoint(made: tuple[Endpoint, str]) -> Endpoint:
    return made[0]


@pytest.fixture
def secret(made: tuple[Endpoint, str]) -> str:
    return made[1]


def only_delivery() -> Delivery:
    return Delivery.objects.select_related("endpoint__owner").get()
