"""A run on its time axes: one for each attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from dashboard.chart import Chart, chart_of
from dashboard.results import records_of
from processing import runs
from processing.models import Run, RunState, StepRecord, StepState
from processing.traces import trace_of
from tests.browser.papers import picture
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import FAILURE, Scene, checked, hand_in, play
from uploads.models import Upload

pytestmark = pytest.mark.usefixtures("pipelines")

FAILED = Scene(state=StepState.FAILED, error=FAILURE, ms=20)
HOUR_MS = 3_600_000


@pytest.fixture
def upload(owner: Any) -> Upload:
    return hand_in(owner, "picture.png", picture(40, 30))


def chart(run: Run, *, now: datetime | None = None) -> Chart:
    run.refresh_from_db()
    return chart_of(run, records_of(run, trace_of(run)), is_first=False, now=now)


def retried_after_an_hour(upload: Upload) -> Run:
    """Fail at the thumbnail, and do it in the second attempt, for which a worker took 100 ms."""
    run = play(upload, {**checked(upload), "thumbnail": FAILED}, state=RunState.FAILED)
    first = run.records.latest("ended_at")
    assert first.ended_at is not None
    began = first.ended_at + timedelta(hours=1)
    StepRecord.objects.create(
        run=run, position=first.position, step="thumbnail", kind="thumbnail", attempt=2,
        state=StepState.SUCCEEDED, queue_ms=100, started_at=began, duration_ms=30,
        ended_at=began + timedelta(milliseconds=30),
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(
        state=RunState.SUCCEEDED, fence=2, ended_at=began + timedelta(milliseconds=30)
    )
    return run


def test_one_attempt_is_one_axis(upload: Upload) -> None:
    run = play(upload, checked(upload), state=RunState.SUCCEEDED)
    found = chart(run)
    assert len(found.attempts) == 1
    assert [row.kind for row in found.attempts[0].rows] == ["wait", "step", "step"]
    assert found.work_ms == pytest.approx(3.2 + 8.9)
    assert found.total_ms == pytest.approx(40 + 3.2 + 8.9, abs=0.1)


def test_a_second_attempt_has_its_own_axis_and_the_pause_is_told(upload: Upload) -> None:
    found = chart(retried_after_an_hour(upload))
    first, second = found.attempts
    assert [row.state for row in first.rows][-1] == "failed"
    assert second.pause_ms == pytest.approx(HOUR_MS - 100)
    assert [(row.kind, row.offset_ms) for row in second.rows] == [("wait", 0), ("step", 100)]
    assert second.ticks[-1].ms <= 30
    assert found.total_ms == pytest.approx(HOUR_MS + 40 + 3.2 + 8.9 + 20 + 30, abs=1)
    assert found.work_ms == pytest.approx(3.2 + 8.9 + 20 + 30)


def test_the_page_says_which_attempt_and_how_long_all_took(
    visit: Visit, owner: Any, upload: Upload
) -> None:
    run = retried_after_an_hour(upload)
    text = visit(owner).get(reverse("run", args=[run.pk])).content.decode()
    assert "Whole time, 2 attempts" in text
    assert "1 h 0 min" in text
    assert text.count('<table class="ledger cards waterfall"') == 2
    assert "Attempt 2" in text


def test_a_retry_that_waits_is_an_attempt_that_grows(upload: Upload) -> None:
    run = play(upload, {**checked(upload), "thumbnail": FAILED}, state=RunState.FAILED)
    runs.retry_run(run)
    run.refresh_from_db()
    waited = chart(run, now=run.due_at + timedelta(seconds=5)).attempts[-1]
    assert [(row.kind, row.state) for row in waited.rows] == [("wait", "running")]
    assert waited.number == 2
    assert waited.rows[0].duration_ms == pytest.approx(5000, abs=100)


def test_an_attempt_in_which_every_step_was_skipped_is_drawn(upload: Upload) -> None:
    run = play(upload, {**checked(upload), "thumbnail": FAILED}, state=RunState.FAILED)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    StepRecord.objects.create(
        run=run, position=9, step="search_terms", attempt=2, state=StepState.SKIPPED,
        started_at=moment, ended_at=moment, duration_ms=0, caused_by="thumbnail",
    )  # fmt: skip
    assert [row.state for row in chart(run).attempts[1].rows] == ["succeeded", "skipped"]
