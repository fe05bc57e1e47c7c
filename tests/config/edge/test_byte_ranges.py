"""Which bytes a Range header selects."""

import pytest

from config.edge.byte_ranges import range_still_applies, requested_range
from config.edge.errors import RangeNotSatisfiable

WHOLE = None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-9", range(10)),
        ("bytes=90-", range(90, 100)),
        ("bytes=99-", range(99, 100)),
        ("bytes=0-", range(100)),
        ("bytes=90-99", range(90, 100)),
        ("bytes=90-100", range(90, 100)),
        ("bytes=90-99999999999999999999", range(90, 100)),
        ("bytes=-1", range(99, 100)),
        ("bytes=-100", range(100)),
        ("bytes=-101", range(100)),
        ("bytes=00000000000000000005-6", range(5, 7)),
        ("Bytes=1-2", range(1, 3)),
        ("bytes=1-2,", range(1, 3)),
        ("bytes=, \t1-2 ,,", range(1, 3)),
        ("bytes=0-1,3-4", WHOLE),
        ("bytes=0-0,0-0,0-0,0-0", WHOLE),
        ("bytes=5-4", WHOLE),
        ("bytes=", WHOLE),
        ("bytes", WHOLE),
        ("", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=--1", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1 - 2", WHOLE),
        ("bytes=1-2-3", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=0x1-0x2", WHOLE),
        ("bytes=1_0-2_0", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),
        ("bytes=1-2\n", WHOLE),
        ("lines=0-9", WHOLE),
        (f"bytes={'1' * 5000}-", WHOLE),
    ],
)
def test_a_range_selects(header: str, expected: range | None) -> None:
    assert requested_range(header, size=100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999-"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        requested_range(header, size=100)


def test_of_nothing_a_suffix_is_the_whole_and_a_beginning_is_refused() -> None:
    assert requested_range("bytes=-5", size=0) is WHOLE
    with pytest.raises(RangeNotSatisfiable):
        requested_range("bytes=0-", size=0)


@pytest.mark.parametrize(
    ("if_range", "etag", "applies"),
    [
        (None, '"v1"', True),
        (None, None, True),
        ('"v1"', '"v1"', True),
        (' "v1"\t', '"v1"', True),
        ('"v2"', '"v1"', False),
        ('W/"v1"', '"v1"', False),
        ('W/"v1"', 'W/"v1"', False),
        ('"v1"', None, False),
        ("Wed, 21 Oct 2026 07:28:00 GMT", '"v1"', False),
        ("", '"v1"', False),
    ],
)
def test_a_part_is_only_sent_of_the_same_content(
    if_range: str | None, etag: str | None, applies: bool
) -> None:
    assert range_still_applies(if_range, etag=etag) is applies
