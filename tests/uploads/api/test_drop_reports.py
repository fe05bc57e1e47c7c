"""What programs read of files in drop folders that were not taken."""

from datetime import UTC, datetime
from typing import Any

import pytest

from uploads import drop_reports
from uploads.errors import EmptyFile, MediaTypeDenied
from uploads.folder_models import DropReport

pytestmark = pytest.mark.django_db

PATH = "/api/v1/drop-reports/"


def tell(owner: Any, name: str = "x.exe", error: Any = MediaTypeDenied, **more: Any) -> None:
    mark = str(DropReport.objects.count())
    drop_reports.report(owner, name=name, error=error(), mark=mark, **more)


def names(api: Any, **query: Any) -> list[str]:
    return [report["name"] for report in api.get(PATH, query).json()["results"]]


@pytest.fixture
def api(client_of: Any, owner: Any) -> Any:
    return client_of(owner)


def test_a_report_says_what_why_and_until_when(api: Any, owner: Any) -> None:
    tell(owner, kept_until=datetime(2031, 5, 7, tzinfo=UTC))
    (report,) = api.get(PATH).json()["results"]
    assert report["name"] == "x.exe"
    assert (report["code"], report["detail"]) == ("media_type_denied", MediaTypeDenied.detail)
    assert report["kept_until"] == "2031-05-07T00:00:00Z"
    assert set(report) == {"id", "name", "code", "detail", "kept_until", "created_at"}


def test_nobody_reads_or_dismisses_those_of_others(
    api: Any, client_of: Any, owner: Any, stranger: Any
) -> None:
    tell(owner)
    theirs = client_of(stranger)
    assert names(theirs) == []
    pk = DropReport.objects.get().pk
    assert theirs.post(f"{PATH}{pk}/dismiss/").status_code == 404
    assert theirs.post(f"{PATH}dismiss/").status_code == 204
    assert names(api) == ["x.exe"]


def test_they_come_newest_first_in_pages(api: Any, owner: Any) -> None:
    for number in range(5):
        tell(owner, f"{number}.exe")
    seen, url = [], f"{PATH}?page_size=2"
    while url:
        page = api.get(url).json()
        seen += [report["name"] for report in page["results"]]
        url = page["next"]
    assert seen == ["4.exe", "3.exe", "2.exe", "1.exe", "0.exe"]


def test_they_are_narrowed_by_code(api: Any, owner: Any) -> None:
    tell(owner, "program.exe")
    tell(owner, "nothing.txt", EmptyFile)
    assert names(api, code=EmptyFile.code) == ["nothing.txt"]


def test_one_is_dismissed_and_stays_away(api: Any, owner: Any) -> None:
    tell(owner, "first.exe")
    tell(owner, "second.exe")
    pk = DropReport.objects.order_by("pk")[0].pk
    for _ in range(2):
        assert api.post(f"{PATH}{pk}/dismiss/").status_code == 204
    assert names(api) == ["second.exe"]
    drop_reports.report(owner, name="first.exe", error=MediaTypeDenied(), mark="0")
    assert names(api) == ["second.exe"]


def test_all_are_dismissed(api: Any, owner: Any) -> None:
    tell(owner)
    tell(owner)
    assert api.post(f"{PATH}dismiss/").status_code == 204
    assert names(api) == []


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(api: Any, owner: Any) -> None:
    tell(owner, "a\udc80b")
    assert names(api) == ["a?b"]


@pytest.mark.parametrize("count", [1, 6])
def test_a_page_costs_the_same_however_many_there_are(
    api: Any, owner: Any, django_assert_max_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        tell(owner)
    with django_assert_max_num_queries(3):  # the user, the reports, the key of their names
        api.get(PATH)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_list_is_read_only(api: Any, method: str) -> None:
    assert getattr(api, method)(PATH).status_code == 405
