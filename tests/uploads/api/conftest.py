"""What the tests of the API share."""

import pytest


@pytest.fixture
def gauge_of_the_queue_has_just_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks once a second, however many files come: that is no cost of one of them."""
    monkeypatch.setattr("processing.queue.pressure.LOOK_AGAIN_S", float("inf"))
