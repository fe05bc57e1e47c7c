"""The list of files."""

import re
from typing import Any

import pytest
from django.urls import reverse

from dashboard import queries
from dashboard.findings import SENTENCES
from dashboard.narrowing import Narrowing
from processing.models import RunState, StepRecord, StepState
from tests.browser.papers import picture
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import FAILURE, Scene, checked, hand_in, play
from uploads.models import Finding, Upload

pytestmark = pytest.mark.usefixtures("pipelines")

STATES = (RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING, RunState.CANCELLED)


def body(client: Any, **query: Any) -> str:
    text: str = client.get(reverse("home"), query).content.decode()
    return text


@pytest.fixture
def one_of_each(owner: Any) -> dict[str, Upload]:
    uploads = {}
    for state in STATES:
        upload = hand_in(owner, f"{state}.txt", b"some text\n")
        scenes = checked(upload)
        if state == RunState.RUNNING:
            scenes["lines"] = Scene(state=StepState.RUNNING)
        play(upload, scenes, state=state)
        uploads[str(state)] = upload
    return uploads


def test_an_empty_inbox_says_how_to_hand_in(visit: Visit, owner: Any) -> None:
    text = body(visit(owner))
    assert "Nothing is kept here yet" in text
    assert "curl -H" in text
    assert f'"username": "{owner.username}"' in text


def test_a_row_tells_name_state_step_and_reason(
    visit: Visit, owner: Any, one_of_each: dict[str, Upload]
) -> None:
    text = body(visit(owner))
    for state, upload in one_of_each.items():
        assert f"{state}.txt" in text
        assert reverse("upload", args=[upload.pk]) in text
    assert "Line routing" in text
    assert FAILURE[1] in text


@pytest.mark.parametrize(
    ("show", "names"),
    [
        ("all", set(STATES)),
        ("attention", {"failed"}),
        ("progress", {"running"}),
        ("done", {"succeeded", "cancelled"}),
        ("nonsense", set(STATES)),
    ],
)
def test_the_inbox_can_be_narrowed(
    owner: Any, one_of_each: dict[str, Upload], show: str, names: set[str]
) -> None:
    inbox = queries.inbox(owner, Narrowing.of({"show": show}))
    assert {row.name for row in inbox.rows} == {f"{name}.txt" for name in names}
    assert inbox.counts == {"all": 4, "attention": 1, "progress": 1, "done": 2}


@pytest.fixture
def found(owner: Any) -> None:
    """Make four files: a text with a finding, a held picture, a table, one of no known kind."""
    note = hand_in(owner, "note.txt", b"some text\n")
    Finding.objects.create(upload=note, code="macro", action="flag", source="intake")
    photo = hand_in(owner, "photo.png", picture(40, 30))
    Finding.objects.create(upload=photo, code="malware", action="quarantine", source="yara")
    Upload.objects.filter(pk=photo.pk).update(verdict="quarantined", held=True)
    table = hand_in(owner, "table.csv", b"a,b\n1,2\n3,4\n")
    rest = hand_in(owner, "rest", b"\x00\x01\x02" * 30)
    Upload.objects.filter(pk__in=[note.pk, table.pk, rest.pk]).update(verdict="passed", held=False)
    Finding.objects.filter(upload=rest).delete()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, {"note.txt", "photo.png", "table.csv", "rest"}),
        ({"kind": "text"}, {"note.txt", "table.csv"}),
        ({"kind": "table"}, {"table.csv"}),
        ({"kind": "picture"}, {"photo.png"}),
        ({"kind": "other"}, {"rest"}),
        ({"kind": "nonsense"}, {"note.txt", "photo.png", "table.csv", "rest"}),
        ({"finding": "any"}, {"note.txt", "photo.png"}),
        ({"finding": "none"}, {"table.csv", "rest"}),
        ({"finding": "held"}, {"photo.png"}),
        ({"finding": "macro"}, {"note.txt"}),
        ({"finding": "'; --"}, {"note.txt", "photo.png", "table.csv", "rest"}),
        ({"kind": "text", "finding": "any"}, {"note.txt"}),
        ({"kind": "picture", "show": "done"}, set()),
    ],
)
def test_the_inbox_is_narrowed_by_kind_and_by_what_was_found(
    owner: Any, found: None, query: dict[str, str], names: set[str]
) -> None:
    assert {row.name for row in queries.inbox(owner, Narrowing.of(query)).rows} == names


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("verdict", "held", "needs"),
    [
        ("quarantined", True, True),
        ("not_checked", True, True),
        ("not_checked", False, False),
        ("pending", True, False),
        ("passed", False, False),
    ],
)
def test_what_is_held_back_needs_attention_and_is_in_no_other_group(
    owner: Any, state: RunState, verdict: str, held: bool, needs: bool
) -> None:
    upload = hand_in(owner, "x.txt", b"some text\n")
    play(upload, {}, state=state)
    Upload.objects.filter(pk=upload.pk).update(verdict=verdict, held=held)
    needs = needs or state == RunState.FAILED
    groups = {
        group
        for group in ("attention", "progress", "done")
        if queries.inbox(owner, Narrowing.of({"show": group})).rows
    }
    counts = queries.inbox(owner).counts
    assert {group for group in groups if counts[group] == 1} == groups
    assert sum(counts[group] for group in ("attention", "progress", "done")) == 1
    assert (groups == {"attention"}) is needs


def test_a_row_says_why_a_file_is_held_back(visit: Visit, owner: Any, found: None) -> None:
    assert SENTENCES["malware"] in body(visit(owner), show="attention")


def test_a_row_says_why_a_file_is_not_checked(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "x.txt", b"some text\n")
    run = play(upload, {}, state=RunState.QUEUED)
    Upload.objects.filter(pk=upload.pk).update(verdict="not_checked", held=True)
    for attempt, detail in ((1, "It is asleep."), (2, "It is down.")):
        StepRecord.objects.create(
            run=run, position=-2, step="antivirus", kind="antivirus", attempt=attempt,
            state=StepState.FAILED, started_at=run.created_at, error_detail=detail,
        )  # fmt: skip
    text = body(visit(owner), show="attention")
    assert "It is down." in text
    assert "It is asleep." not in text


def test_a_row_has_a_mark_in_words_for_what_was_found(
    visit: Visit, owner: Any, found: None
) -> None:
    text = body(visit(owner), kind="text")
    assert text.count('aria-label="Found:"') == 1
    assert re.search(r'aria-label="Found:".*?</svg>Macros</span>', text)
    assert "Harmful" in body(visit(owner), finding="held")


def test_what_is_chosen_stays_in_every_link(
    visit: Visit, owner: Any, found: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 1)
    text = body(visit(owner), show="progress", kind="text", finding="any")
    assert '<option value="text" selected>' in text
    assert '<option value="any" selected>' in text
    assert '<input type="hidden" name="show" value="progress">' in text
    assert 'href="?show=attention&amp;kind=text&amp;finding=any"' in text
    text = body(visit(owner), kind="text")
    assert re.search(r'href="\?kind=text&amp;before=[0-9a-f-]{36}">Older', text)
    assert "No file is like this" in body(visit(owner), kind="mail")


def test_an_empty_group_is_not_an_empty_inbox(visit: Visit, owner: Any) -> None:
    hand_in(owner, "waiting.txt", b"some text\n")
    assert "Nothing needs your attention" in body(visit(owner), show="attention")


def test_pages_follow_each_other_without_gap_or_overlap(
    owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 2)
    for number in range(5):
        hand_in(owner, f"{number}.txt", b"some text\n")
    seen: list[str] = []
    before = None
    while True:
        inbox = queries.inbox(owner, before=before)
        seen += [row.name for row in inbox.rows]
        if inbox.next_before is None:
            break
        before = inbox.next_before
    assert seen == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]


def test_a_broken_page_mark_shows_the_newest(visit: Visit, owner: Any) -> None:
    hand_in(owner, "report.txt", b"some text\n")
    assert "report.txt" in body(visit(owner), before="not-an-id")


@pytest.mark.parametrize("files", [0, 1, 12])
def test_the_inbox_costs_the_same_for_any_number_of_files(
    visit: Visit, owner: Any, django_assert_max_num_queries: Any, files: int
) -> None:
    for number in range(files):
        upload = hand_in(owner, f"{number}.txt", b"some text\n")
        play(upload, checked(upload), state=STATES[number % len(STATES)])
    client = visit(owner)
    # Session, user, counts, rows, findings, reports, two for the keys of the names, steps,
    # reasons, quota.
    with django_assert_max_num_queries(12):
        assert client.get(reverse("home")).status_code == 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ('"onload="x.txt', "&quot;onload=&quot;x.txt"),
        ("{{ 7|add:7 }}.txt", "{{ 7|add:7 }}.txt"),
        ("gnp.\N{RIGHT-TO-LEFT OVERRIDE}txt.exe", "gnp.\N{REPLACEMENT CHARACTER}txt.exe"),
        ("zero\N{ZERO WIDTH SPACE}width", "zero\N{REPLACEMENT CHARACTER}width"),
        ("lone \udc80 surrogate", "lone \N{REPLACEMENT CHARACTER} surrogate"),
        ("مرحبا.txt", "مرحبا.txt"),
    ],
)
def test_a_name_is_shown_and_does_nothing(visit: Visit, owner: Any, name: str, shown: str) -> None:
    upload = hand_in(owner, name, b"some text\n")
    client = visit(owner)
    for path in (
        reverse("home"),
        reverse("upload", args=[upload.pk]),
        reverse("upload-delete", args=[upload.pk]),
        reverse("run", args=[upload.run_id]),
    ):
        text = client.get(path).content.decode()
        assert f"<bdi>{shown}</bdi>" in text
        assert shown == name or name not in text
