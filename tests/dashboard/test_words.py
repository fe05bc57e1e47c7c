"""How sizes, spans and ages are written."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.templatetags import strongroom


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (102400, "100 KiB"),
        (1024**3, "1 GiB"),
        (16 * 1024**3, "16 GiB"),
        (None, "\N{EN DASH}"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert strongroom.binary_size(size) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (0.2, "<1 ms"),
        (12.4, "12 ms"),
        (1234, "1.23 s"),
        (12345, "12.3 s"),
        (61_000, "1 min 1 s"),
        (3_720_000, "1 h 2 min"),
        (None, "\N{EN DASH}"),
    ],
)
def test_spans(ms: float | None, text: str) -> None:
    assert strongroom.duration(ms) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "now"), (2, "now"), (30, "30 s"), (90, "1 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages(seconds: float, text: str) -> None:
    shown = str(strongroom.age(timezone.now() - timedelta(seconds=seconds)))
    assert shown.endswith(f"data-age>{text}</time>")
    assert " UTC" in shown


@pytest.mark.parametrize(
    ("media_type", "icon"),
    [
        ("text/csv", "sheet"),
        ("text/plain", "file-text"),
        ("image/png", "image"),
        ("application/zip", "archive"),
        ("x/y", "file"),
    ],
)
def test_types_have_icons(media_type: str, icon: str) -> None:
    assert strongroom.type_icon(media_type) == icon
