"""Who sees what: signed-out visitors, strangers, forged forms."""

import re
from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse

from processing.models import Run, RunState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import checked, hand_in, play
from uploads.models import Upload

pytestmark = pytest.mark.usefixtures("pipelines")

NOWHERE = UUID("00000000-0000-7000-8000-000000000000")

PAGES = [
    ("home", None),
    ("runs", None),
    ("stats", None),
    ("status", None),
    ("account", None),
    ("upload", "upload"),
    ("run", "run"),
]
SETTINGS = [("account-theme", None), ("account-clock", None)]
ACTIONS = [
    ("upload-run", "upload"),
    ("upload-delete", "upload"),
    ("run-cancel", "run"),
    ("run-retry", "run"),
]
OWNED = [
    *(("get", name, kind) for name, kind in PAGES if kind),
    ("get", "upload-delete", "upload"),
    *(("post", name, kind) for name, kind in ACTIONS),
]


@pytest.fixture
def ids(owner: Any) -> dict[str | None, UUID]:
    upload = hand_in(owner, "report.txt", b"some text\n")
    run = play(upload, checked(upload), state=RunState.FAILED)
    return {"upload": upload.pk, "run": run.pk}


def path(name: str, pk: UUID | None = None) -> str:
    return reverse(name, args=[pk] if pk else None)


def without_request_id(body: bytes) -> bytes:
    return re.sub(rb"[0-9a-f]{32}", b"", body)


@pytest.mark.parametrize(("name", "kind"), [*PAGES, *ACTIONS, *SETTINGS])
def test_a_visitor_is_asked_to_sign_in(visit: Visit, ids: Any, name: str, kind: str | None) -> None:
    answer = visit(None).get(path(name, ids.get(kind)))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize(("name", "kind"), PAGES)
def test_the_owner_sees_every_page_and_no_cache_keeps_it(
    visit: Visit, owner: Any, ids: Any, name: str, kind: str | None
) -> None:
    answer = visit(owner).get(path(name, ids.get(kind)))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(("method", "name", "kind"), OWNED)
def test_what_is_not_yours_answers_like_what_is_not_there(
    visit: Visit, stranger: Any, ids: Any, method: str, name: str, kind: str
) -> None:
    client = visit(stranger)
    foreign = getattr(client, method)(path(name, ids[kind]))
    missing = getattr(client, method)(path(name, NOWHERE))
    assert foreign.status_code == missing.status_code == 404
    assert without_request_id(foreign.content) == without_request_id(missing.content)
    assert Upload.objects.filter(pk=ids["upload"]).exists()
    assert Run.objects.count() == 1


def test_a_stranger_sees_nothing_of_the_owner_in_lists(
    visit: Visit, stranger: Any, ids: Any
) -> None:
    client = visit(stranger)
    for name in ("home", "runs", "stats"):
        assert "report.txt" not in client.get(path(name)).content.decode()


@pytest.mark.parametrize(("name", "kind"), [*ACTIONS, *SETTINGS])
def test_a_form_without_a_token_is_refused(
    visit: Visit, owner: Any, ids: Any, name: str, kind: str | None
) -> None:
    client = visit(owner, enforce_csrf_checks=True)  # type: ignore[call-arg]
    answer = client.post(path(name, ids.get(kind)))
    assert answer.status_code == 403
    assert "csrf_failed" in answer.content.decode()
    assert Upload.objects.filter(pk=ids["upload"], state="failed").exists()


@pytest.mark.parametrize("name", ["upload-run", "run-cancel", "run-retry"])
def test_actions_are_not_links(visit: Visit, owner: Any, ids: Any, name: str) -> None:
    kind = name.split("-", maxsplit=1)[0]
    assert visit(owner).get(path(name, ids[kind])).status_code == 405
