"""A bar that shows how far a command is, where somebody is looking."""

import sys
import time
from typing import Self

WIDTH = 30
PAUSE_S = 0.1  # between two drawings


class Progress:
    """Draws on standard error, and only if that is a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._total = 0
        self._done = 0
        self._bytes = 0
        self._began_at = time.monotonic()
        self._drawn_at = float("-inf")
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def expect(self, total: int) -> None:
        """Say how many there will be."""
        self._total = total
        self._draw()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._draw()
            sys.stderr.write("\n")

    def advance(self, size: int = 0, *, count: int = 1) -> None:
        """Count one more, or several, of so many bytes."""
        self._done += count
        self._bytes += size
        if time.monotonic() - self._drawn_at >= PAUSE_S:
            self._draw()

    def _draw(self) -> None:
        if not self._shown:
            return
        self._drawn_at = time.monotonic()
        part = min(1.0, self._done / self._total) if self._total else 1.0
        bar = "#" * round(WIDTH * part)
        speed = self._bytes / 1e6 / max(0.1, self._drawn_at - self._began_at)
        sys.stderr.write(
            f"\r{self._label} [{bar:<{WIDTH}}] {part:4.0%}  {self._done:,} of {self._total:,}"
            f"  {self._bytes / 1e9:,.2f} GB  {speed:,.0f} MB/s "
        )
        sys.stderr.flush()
