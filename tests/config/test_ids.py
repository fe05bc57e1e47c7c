"""Identifiers sort by the time they were made."""

import time
from datetime import UTC, datetime, timedelta

from config.ids import least_id_of, uuid7


def test_ids_made_in_a_row_are_in_order_and_say_when() -> None:
    before = datetime.now(UTC)
    made = []
    for _ in range(1000):
        made.append(uuid7())
        began = time.time_ns()
        while time.time_ns() < began + 1000:  # four times the smallest step
            pass
    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert {(each.version, each.variant) for each in made} == {(7, made[0].variant)}
    assert least_id_of(before) <= made[0]
    assert made[-1] < least_id_of(datetime.now(UTC) + timedelta(milliseconds=1))
