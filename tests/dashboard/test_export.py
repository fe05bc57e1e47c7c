"""Lists as CSV: the owner's, narrowed as the address says, and no formulas in them."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from dashboard import export
from dashboard.export import FILES, RUNS, written
from processing.models import Run, RunState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import FAILURE, checked, hand_in, play
from uploads.models import Finding

pytestmark = pytest.mark.usefixtures("pipelines")


def lines(client: Any, name: str, **query: Any) -> list[dict[str, str]]:
    answer = client.get(reverse(name), query)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert "no-store" in answer["Cache-Control"]
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


def cells(*line: Any) -> list[str]:
    return next(csv.reader(io.StringIO(written([line]).decode(), newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\N{NO-BREAK SPACE}=1",
        "=cmd|' /C calc'!A0", "\N{FULLWIDTH EQUALS SIGN}1", "\N{FULLWIDTH COMMERCIAL AT}x",
    ],
)  # fmt: skip
def test_a_cell_is_no_formula(text: str) -> None:
    assert cells(text) == [f"'{text}"]


@pytest.mark.parametrize("text", ['";=1+1', 'a","=1', "a\r\n=1+1", "a;=1", "it's", "", "1-1"])
def test_no_cell_leaves_its_quotes(text: str) -> None:
    assert cells(text, "next") == [text, "next"]
    assert written([[text]]).startswith(b'"')


def test_values_are_written_for_programs() -> None:
    moment = datetime(2031, 5, 7, 8, 9, 10, tzinfo=UTC)
    assert cells(None, True, False, 12, 0.5, moment) == [
        "", "true", "false", "12", "0.5", "2031-05-07T08:09:10Z",
    ]  # fmt: skip


def test_files_are_listed_with_their_names_and_findings(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "=note.txt", b"some text\n")
    Finding.objects.create(upload=upload, code="macro", action="flag", source="intake")
    play(upload, checked(upload), state=RunState.FAILED)
    (line,) = lines(visit(owner), "files-csv")
    assert tuple(line) == FILES
    assert (line["name"], line["state"], line["size_bytes"]) == ("'=note.txt", "failed", "10")
    assert (line["id"], line["sha256"]) == (str(upload.pk), upload.sha256)
    assert "Macros" in line["findings"]


def test_runs_are_listed_with_reasons_and_times(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "note.txt", b"some text\n")
    run = play(upload, checked(upload), state=RunState.FAILED)
    (line,) = lines(visit(owner), "runs-csv")
    assert tuple(line) == RUNS
    assert (line["file"], line["error_code"], line["error_detail"]) == ("note.txt", *FAILURE)
    assert (line["id"], line["upload"]) == (str(run.pk), str(upload.pk))
    assert float(line["waited_ms"]) == pytest.approx(40)


@pytest.mark.parametrize(
    ("name", "query", "count"),
    [
        ("files-csv", {"show": "attention"}, 1),
        ("files-csv", {"show": "done"}, 2),
        ("files-csv", {"kind": "picture"}, 0),
        ("runs-csv", {"state": "succeeded"}, 2),
        ("runs-csv", {"pipeline": "none"}, 0),
    ],
)
def test_they_are_narrowed_as_the_page_is(
    visit: Visit, owner: Any, name: str, query: dict[str, str], count: int
) -> None:
    for state in (RunState.FAILED, RunState.SUCCEEDED, RunState.SUCCEEDED):
        play(hand_in(owner, "x.txt", b"some text\n"), {}, state=state)
    assert len(lines(visit(owner), name, **query)) == count


@pytest.mark.parametrize("name", ["files-csv", "runs-csv"])
def test_a_stranger_gets_the_heads_only(
    visit: Visit, owner: Any, stranger: Any, administrator: Any, name: str
) -> None:
    hand_in(owner, "secret.txt", b"some text\n")
    for user in (stranger, administrator):
        assert lines(visit(user), name) == []
    assert visit(None).get(reverse(name)).status_code == 302


@pytest.mark.parametrize("name", ["files-csv", "runs-csv"])
def test_all_pages_are_in_it_once(
    visit: Visit, owner: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(export, "PAGE_SIZE", 2)
    for number in range(5):
        hand_in(owner, f"{number}.txt", b"some text\n")
    column = "name" if name == "files-csv" else "file"
    found = [line[column] for line in lines(visit(owner), name)]
    assert found == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]


@pytest.mark.parametrize(("name", "queries"), [("files-csv", 6), ("runs-csv", 5)])
def test_a_page_costs_the_same_for_any_number_of_lines(
    visit: Visit, owner: Any, django_assert_max_num_queries: Any, name: str, queries: int
) -> None:
    for number in range(7):
        hand_in(owner, f"{number}.txt", b"some text\n")
    client = visit(owner)
    # Session, user, lines, two for the keys of the names, findings; the end of the list.
    with django_assert_max_num_queries(queries + 1):
        client.get(reverse(name)).getvalue()
    assert Run.objects.count() == 7


@pytest.mark.parametrize(("page", "link"), [("home", "/files.csv"), ("runs", "/runs.csv")])
def test_a_page_links_to_what_it_shows(visit: Visit, owner: Any, page: str, link: str) -> None:
    hand_in(owner, "x.txt", b"some text\n")
    query = {"show": "progress", "state": "queued", "before": "0"}
    text = visit(owner).get(reverse(page), query).content.decode()
    assert f'href="{link}?show=progress&amp;state=queued" download' in text
    assert f'href="{link}"' in visit(owner).get(reverse(page)).content.decode().replace("?", "")
