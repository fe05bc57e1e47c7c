"""Slow and hostile clients are cut or answered, and cost nobody else anything."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.benchmarks.hostile_clients import (
    MIB,
    Bad,
    Site,
    crowded,
    half_a_head,
    less_declared_than_sent,
    many_headers,
    many_parts,
    more_declared_than_sent,
    one_byte_a_second,
    ordinary,
)
from tests.uploads.tus.installation import Installation

pytestmark = pytest.mark.faults

ALLOWED_S = 60.0  # within which whoever is too slow is cut
GROWTH_BYTES = 64 * MIB


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("hostile") / "data", like=prepared)
    yield installation
    installation.end()


# Those that have to be waited for come together: each is cut at its own time.
@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        ((one_byte_a_second, half_a_head, more_declared_than_sent), 200),
        ((less_declared_than_sent,), 10),
        ((many_parts,), 10),
        ((many_headers,), 10),
    ],
    ids=["slow", "less_declared_than_sent", "many_parts", "many_headers"],
)
def test_whoever_is_slow_or_hostile_is_ended_and_the_others_go_on(
    installation: Installation, kinds: tuple[Bad, ...], count: int
) -> None:
    site = Site(installation.port, installation.token)
    ordinary(site, 1)
    worker = installation.worker()
    before = worker.memory_info().rss
    began = time.monotonic()
    with ExitStack() as crowds:
        here = [crowds.enter_context(crowded(site, bad, count, ALLOWED_S)) for bad in kinds]
        times = ordinary(site, 5)
        grown = worker.memory_info().rss - before
    assert len(times) > 5, "an ordinary user is served meanwhile"
    for bad, crowd in zip(kinds, here, strict=True):
        assert crowd.ends["still there"] == 0, (bad.__name__, crowd.ends)
        assert sum(crowd.ends.values()) == count
    assert grown < GROWTH_BYTES
    assert time.monotonic() - began < ALLOWED_S + 30
    assert threading.active_count() < 20
