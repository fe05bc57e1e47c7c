"""The page of all runs: what waits, how long it takes, what can be retried."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from config.ids import least_id_of, uuid7
from dashboard import run_list
from dashboard.run_list import PARKED, RunNarrowing, runs_page
from processing.models import Run, RunState, Worker
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import FAILURE, checked, hand_in, play

pytestmark = pytest.mark.usefixtures("pipelines")

HOSTILE = "<b onclick=alert(1)>\u202egnp.exe"


def body(client: Any, **query: Any) -> str:
    text: str = client.get(reverse("runs"), query).content.decode()
    return text


@pytest.fixture
def one_of_each(owner: Any) -> dict[str, Run]:
    runs = {}
    for state in RunState.values:
        upload = hand_in(owner, f"{state}.txt", b"some text\n")
        runs[state] = play(upload, checked(upload), state=RunState(state))
    return runs


def test_with_nothing_it_says_so(visit: Visit, owner: Any) -> None:
    text = body(visit(owner))
    assert "Nothing waits." in text
    assert "No run yet" in text
    assert "Half within" not in text


def test_it_shows_what_waits_and_since_when(visit: Visit, owner: Any) -> None:
    run = Run.objects.get(upload=hand_in(owner, "waiting.txt", b"some text\n"))
    due = timezone.now() - timedelta(minutes=3)
    Run.objects.update(due_at=due)
    page = runs_page(owner)
    assert (page.waiting.queued, page.waiting.running) == (1, 0)
    assert page.waiting.oldest_due_at == due
    assert "Nothing waits." not in body(visit(owner))
    Run.objects.filter(pk=run.pk).update(due_at=timezone.now() + timedelta(minutes=3))
    assert runs_page(owner).waiting.queued == 0, "it is not its turn yet"


def test_a_row_tells_file_state_reason_and_times(
    visit: Visit, owner: Any, one_of_each: dict[str, Run]
) -> None:
    text = body(visit(owner))
    for state, run in one_of_each.items():
        assert f"{state}.txt" in text
        assert f'href="{reverse("run", args=[run.pk])}"' in text
    assert FAILURE[1] in text
    assert FAILURE[0] in text
    rows = {row.run.state: row for row in runs_page(owner).rows}
    assert rows["succeeded"].waited_ms == pytest.approx(40)
    assert rows["succeeded"].worked_ms == pytest.approx(12.1)
    assert rows["running"].worked_ms is None


def test_what_failed_or_was_cancelled_can_be_retried_from_here(
    visit: Visit, owner: Any, one_of_each: dict[str, Run]
) -> None:
    client = visit(owner)
    text = body(client)
    offered = {
        state
        for state, run in one_of_each.items()
        if f'action="{reverse("run-retry", args=[run.pk])}"' in text
    }
    assert offered == {"failed", "cancelled"}
    client.post(reverse("run-retry", args=[one_of_each["failed"].pk]))
    assert Run.objects.get(pk=one_of_each["failed"].pk).state == RunState.QUEUED


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"state": "failed"}, {"failed"}),
        ({"state": "queued"}, {"queued"}),
        ({"state": "parked"}, set()),
        ({"since": "day"}, set(RunState.values)),
        ({"pipeline": "nothing"}, set()),
        ({"state": "'; --", "since": "ever"}, set(RunState.values)),
    ],
)
def test_the_list_can_be_narrowed(
    owner: Any, one_of_each: dict[str, Run], query: dict[str, str], names: set[str]
) -> None:
    found = runs_page(owner, RunNarrowing.of(query)).rows
    assert {row.name for row in found} == {f"{name}.txt" for name in names}


def test_it_is_narrowed_to_a_pipeline(owner: Any, one_of_each: dict[str, Run]) -> None:
    name = one_of_each["failed"].version.pipeline.name
    page = runs_page(owner, RunNarrowing(pipeline=name))
    assert len(page.rows) == len(RunState)
    assert name in {pipeline.name for pipeline in page.pipelines}


def test_a_run_at_which_workers_died_is_parked(owner: Any, one_of_each: dict[str, Run]) -> None:
    Run.objects.filter(pk=one_of_each["failed"].pk).update(error_code=PARKED)
    found = runs_page(owner, RunNarrowing(state="parked")).rows
    assert [row.name for row in found] == ["failed.txt"]


def test_what_is_older_is_left_out_since_then(owner: Any) -> None:
    upload = hand_in(owner, "old.txt", b"some text\n")
    old = least_id_of(timezone.now() - timedelta(days=2))
    Run.objects.filter(upload=upload).update(id=old)
    assert runs_page(owner, RunNarrowing(since="day")).rows == []
    assert len(runs_page(owner, RunNarrowing(since="week")).rows) == 1


def test_ids_sort_by_moments() -> None:
    before = timezone.now()
    assert least_id_of(before) < uuid7() < least_id_of(before + timedelta(minutes=1))


def test_percentiles_are_of_the_runs_of_a_day(owner: Any) -> None:
    for milliseconds in (10, 20, 1000):
        upload = hand_in(owner, "x.txt", b"some text\n")
        run = play(upload, {}, state=RunState.SUCCEEDED)
        end = run.created_at + timedelta(milliseconds=milliseconds)
        Run.objects.filter(pk=run.pk).update(started_at=run.created_at, ended_at=end)
    times = runs_page(owner).times
    assert times is not None
    assert times.count == 3
    assert times.waited.p99_ms == 0
    assert times.whole.p50_ms == pytest.approx(20)
    assert 20 < times.whole.p95_ms < times.whole.p99_ms < 1000


def test_pages_follow_each_other_without_gap_or_overlap(
    visit: Visit, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_list, "PAGE_SIZE", 2)
    for number in range(5):
        hand_in(owner, f"{number}.txt", b"some text\n")
    seen: list[str] = []
    before = None
    while True:
        page = runs_page(owner, before=before)
        seen += [row.name for row in page.rows]
        if page.next_before is None:
            break
        before = page.next_before
    assert seen == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]
    text = body(visit(owner), state="queued", since="day")
    assert "?state=queued&amp;since=day&amp;before=" in text


def test_a_stranger_sees_nothing_and_counts_nothing(
    visit: Visit, stranger: Any, one_of_each: dict[str, Run]
) -> None:
    Worker.objects.create(name="host/1/2", seen_at=timezone.now())
    text = body(visit(stranger))
    for words in (".txt", "all users", "host/1/2"):
        assert words not in text
    page = runs_page(stranger)
    assert (page.waiting.queued, page.throughput.ended_last_day, page.times) == (0, 0, None)


def test_staff_see_counts_of_all_and_workers_but_no_foreign_run(
    visit: Visit, administrator: Any, one_of_each: dict[str, Run]
) -> None:
    Worker.objects.create(name="host/1/2", seen_at=timezone.now())
    Run.objects.filter(state=RunState.RUNNING).update(
        worker="host/1/2", lease_expires_at=timezone.now() + timedelta(minutes=1)
    )
    text = body(visit(administrator))
    assert "all users" in text
    assert "host/1/2" in text
    assert ".txt" not in text
    page = runs_page(administrator)
    assert page.all_waiting is not None
    assert (page.all_waiting.queued, page.all_waiting.running) == (1, 1)
    assert page.workers is not None
    assert [worker.runs for worker in page.workers] == [1]


def test_a_hostile_name_is_escaped(visit: Visit, owner: Any) -> None:
    play(hand_in(owner, HOSTILE, b"some text\n"), {}, state=RunState.FAILED)
    text = body(visit(owner))
    assert "<b onclick" not in text
    assert text.count("&lt;b onclick=alert(1)&gt;\ufffdgnp.exe") >= 2


@pytest.mark.parametrize("files", [0, 1, 12])
def test_it_costs_the_same_for_any_number_of_runs(
    visit: Visit, administrator: Any, django_assert_max_num_queries: Any, files: int
) -> None:
    for number in range(files):
        upload = hand_in(administrator, f"{number}.txt", b"some text\n")
        play(upload, checked(upload), state=RunState(RunState.values[number % 5]))
    client = visit(administrator)
    # Session, user, runs, two for the keys of the names, pipelines, what waits, of all users too,
    # throughput, times, two for the workers.
    with django_assert_max_num_queries(12):
        assert client.get(reverse("runs")).status_code == 200
