"""What an old trace loses, and what it keeps."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from processing.models import Run, RunState, StepRecord, StepState
from tests.processing.queue.conftest import make_run  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

OLD = timedelta(days=31)


@pytest.mark.parametrize(
    ("age", "state", "left"),
    [
        (OLD, RunState.SUCCEEDED, ["succeeded", "failed"]),
        (OLD, RunState.FAILED, ["failed", "abandoned", "succeeded", "failed"]),
        (timedelta(days=1), RunState.SUCCEEDED, ["failed", "abandoned", "succeeded", "failed"]),
    ],
)
def test_attempts_without_effect_go_when_they_are_old(make_run: Any, age, state, left):  # noqa: F811
    run: Run = make_run(state=state, ended_at=timezone.now() - age)
    attempts = [
        (0, StepState.FAILED),
        (0, StepState.ABANDONED),
        (0, StepState.SUCCEEDED),
        (1, StepState.FAILED),  # nothing came after it: it is what is known of this step
    ]
    for attempt, (position, ending) in enumerate(attempts):
        StepRecord.objects.create(
            run=run,
            position=position,
            step=f"step-{position}",
            attempt=attempt,
            state=ending,
            started_at=run.created_at,
        )
    call_command("compact_traces")
    assert [record.state for record in run.records.order_by("attempt")] == left
