"""Artifacts become durable one after the other, or together: each once, each with its own fate."""

from typing import Any

import pytest

from processing import journal
from uploads.storage import StorageFailed


class Draft:
    """An artifact that counts its commits."""

    def __init__(self, error: Exception | None = None) -> None:
        self.commits = 0
        self._error = error

    def commit(self) -> None:
        self.commits += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("slow_s", [-1.0, float("inf")])
def test_each_artifact_is_committed_once_and_its_own_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, slow_s: float
) -> None:
    monkeypatch.setattr(journal, "SLOW_S", slow_s)
    pools = []
    pool = journal._pool()

    def asked() -> Any:
        pools.append(pool)
        return pool

    monkeypatch.setattr(journal, "_pool", asked)
    error = StorageFailed()
    drafts: list[Any] = [Draft(), Draft(), Draft(error), Draft(), Draft()]
    told: list[bool] = []
    errors = journal._commit(drafts, lambda: told.append(not pools))
    assert errors == [None, None, error, None, None]
    assert [draft.commits for draft in drafts] == [1] * 5
    assert bool(pools) == (slow_s < 0)
    assert told == [True] * len(pools)
