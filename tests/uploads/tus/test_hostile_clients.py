"""Slow and hostile clients are cut or answered, and cost nobody else anything."""

import threading
import time
from collections.abc import Iterator
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
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    installation = Installation(folder / "data")
    yield installation
    installation.end()


@pytest.mark.parametrize(
    ("bad", "count"),
    [
        (one_byte_a_second, 200),
        (half_a_head, 200),
        (more_declared_than_sent, 200),
        (less_declared_than_sent, 10),
        (many_parts, 10),
        (many_headers, 10),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_whoever_is_slow_or_hostile_is_ended_and_the_others_go_on(
    installation: Installation, bad: Bad, count: int
) -> None:
    site = Site(installation.port, installation.token)
    ordinary(site, 1)
    worker = installation.worker()
    before = worker.memory_info().rss
    began = time.monotonic()
    with crowded(site, bad, count, ALLOWED_S) as crowd:
        times = ordinary(site, 5)
        grown = worker.memory_info().rss - before
    assert len(times) > 5, "an ordinary user is served meanwhile"
    assert crowd.ends["still there"] == 0, crowd.ends
    assert sum(crowd.ends.values()) == count
    assert grown < GROWTH_BYTES
    assert time.monotonic() - began < ALLOWED_S + 30
    assert threading.active_count() < 20
