"""A large file goes to the disk while it arrives, not all at its end."""

import os

import pytest

from uploads.storage.writing import AHEAD_BYTES, WriteBehind


def test_the_kernel_is_told_of_each_stretch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _fd, at, length, _: told.append((at, length)))
    behind = WriteBehind(3, offset=100)
    for _ in range(5):
        behind.wrote(AHEAD_BYTES // 2)
    assert told == [(100, AHEAD_BYTES), (100 + AHEAD_BYTES, AHEAD_BYTES)]
