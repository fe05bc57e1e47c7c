"""The page of statistics: with nothing, with one file, with more than it shows."""

from typing import Any

import pytest
from django.urls import reverse

from dashboard import queries
from processing.models import RunState, StepState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import FAILURE, Scene, checked, hand_in, play

pytestmark = pytest.mark.usefixtures("pipelines")


def body(visit: Visit, user: Any) -> str:
    text: str = visit(user).get(reverse("stats")).content.decode()
    return text


def test_with_nothing_it_says_so(visit: Visit, owner: Any) -> None:
    text = body(visit, owner)
    for part in ("No file has been handed in yet", "No step has run", "No run has failed"):
        assert part in text


def test_it_shows_the_latest_files_the_steps_and_the_errors(
    visit: Visit, owner: Any, stranger: Any
) -> None:
    hand_in(stranger, "theirs.txt", b"some text\n")
    for number in range(queries.MAX_LATEST + 1):
        upload = hand_in(owner, f"file {number}.txt", b"some text\n")
        failed = {"lines": Scene(state=StepState.FAILED, error=FAILURE)} if number == 0 else {}
        state = RunState.FAILED if failed else RunState.SUCCEEDED
        play(upload, {**checked(upload), **failed}, state=state)
    text = body(visit, owner)
    latest = text[text.index('id="latest-title"') : text.index('id="steps-title"')]
    errors = text[text.index('id="errors-title"') :]
    assert latest.count("<li>") == queries.MAX_LATEST
    assert "file 0.txt" not in latest
    assert "file 0.txt" in errors
    assert FAILURE[0] in errors
    assert "Type detection" in text
    assert "theirs.txt" not in text
    assert 'id="stats" class="stack roomy" data-live' in text
