"""What the first page tells of files in drop folders that were not taken."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.reports import MOST_SHOWN
from tests.dashboard.conftest import BACKEND, Visit
from uploads import drop_reports
from uploads.errors import MediaTypeDenied
from uploads.folder_models import DropReport

pytestmark = pytest.mark.usefixtures("pipelines")

HOSTILE = "<script>alert(1)</script>\u202egnp\r\nx.exe"


def tell(owner: Any, name: str = "x.exe", **more: Any) -> None:
    mark = str(DropReport.objects.count())
    drop_reports.report(owner, name=name, error=MediaTypeDenied(), mark=mark, **more)


def body(client: Any) -> str:
    text: str = client.get(reverse("home")).content.decode()
    return text


def test_nothing_is_told_where_nothing_happened(visit: Visit, owner: Any) -> None:
    assert "Not taken" not in body(visit(owner))


def test_the_owner_reads_what_why_and_until_when(visit: Visit, owner: Any, stranger: Any) -> None:
    tell(owner, kept_until=datetime(2031, 5, 7, tzinfo=UTC))
    page = body(visit(owner))
    row = page[page.index('id="report-') : page.index("</li>", page.index('id="report-'))]
    for words in ("x.exe", MediaTypeDenied.detail, "<code>media_type_denied</code>", "7 May 2031"):
        assert words in row
    assert re.search(r"<time datetime=", row)
    assert "Not taken" not in body(visit(stranger))


def test_a_hostile_name_is_escaped_and_cannot_deceive(visit: Visit, owner: Any) -> None:
    tell(owner, HOSTILE)
    page = body(visit(owner))
    assert "<script>alert" not in page
    shown = "&lt;script&gt;alert(1)&lt;/script&gt;\ufffdgnp\ufffd\ufffdx.exe"
    assert page.count(shown) == 2, "in the text, and in what the button is called"


def test_a_report_is_dismissed_and_the_others_stay(visit: Visit, owner: Any) -> None:
    tell(owner, "first.exe")
    tell(owner, "second.exe")
    client = visit(owner)
    pk = DropReport.objects.order_by("pk")[0].pk
    assert client.post(reverse("report-dismiss", args=[pk])).status_code == 302
    page = body(client)
    assert "first.exe" not in page
    assert "second.exe" in page
    assert client.post(reverse("report-dismiss", args=[pk])).status_code == 302, "once more"


def test_all_are_dismissed_also_those_that_are_not_shown(
    visit: Visit, owner: Any, stranger: Any
) -> None:
    for number in range(MOST_SHOWN + 2):
        tell(owner, f"{number}.exe")
    tell(stranger)
    client = visit(owner)
    page = body(client)
    assert page.count('id="report-') == MOST_SHOWN
    assert "Dismiss all, older ones too" in page
    assert client.post(reverse("reports-dismiss")).status_code == 302
    assert "Not taken" not in body(client)
    assert DropReport.objects.filter(owner=stranger, dismissed_at=None).exists()


@pytest.mark.parametrize("count", [1, 5])
def test_reports_cost_two_queries_however_many_there_are(
    visit: Visit, owner: Any, django_assert_max_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        tell(owner)
    client = visit(owner)
    with django_assert_max_num_queries(13):
        body(client)


def test_a_forged_dismissal_is_refused(owner: Any) -> None:
    tell(owner)
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend=BACKEND)
    pk = DropReport.objects.get().pk
    assert client.post(reverse("report-dismiss", args=[pk])).status_code == 403
    assert client.post(reverse("reports-dismiss")).status_code == 403
    assert DropReport.objects.get().dismissed_at is None
