"""Every path there is, against every kind of caller. A new path fails here until it is listed.

`PUBLIC` answers anybody, `PERSONAL` whoever is signed in, `OWNED` only the owner of what its id
names: for everybody else it does not exist. Paths of the admin and of allauth are their own.
"""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from processing.models import Artifact, Replay, RunState
from processing.webhooks import endpoints
from tests.dashboard.conftest import BACKEND
from tests.dashboard.scenes import Scene, checked, hand_in, play
from uploads.drop_reports import report
from uploads.errors import EmptyFile
from uploads.folder_models import DropReport

PUBLIC = {"api-schema", "api-docs", "healthz", "readyz", "metrics"}
PUBLIC |= {"api-token", "api-token-refresh", "api-token-revoke"}
PERSONAL = {
    "account",
    "account-clock",
    "account-theme",
    "api-drop-reports",
    "api-drop-reports-dismiss",
    "api-events",
    "api-pipeline",
    "api-pipeline-activate",
    "api-pipelines",
    "api-replays",
    "api-runs",
    "api-stats",
    "api-uploads",
    "api-upload-by-name",
    "api-webhooks",
    "files-csv",
    "home",
    "pipeline",
    "pipeline-activate",
    "pipelines",
    "reports-dismiss",
    "replay-start",
    "replays",
    "runs",
    "runs-csv",
    "stats",
    "status",
    "webhook-new",
    "webhooks",
}
OWNED = {
    "api-artifact-content": "artifact",
    "api-delivery": "delivery",
    "api-delivery-resend": "delivery",
    "api-drop-report-dismiss": "report",
    "api-replay": "replay",
    "api-replay-adopt": "replay",
    "api-replay-cancel": "replay",
    "api-replay-files": "replay",
    "api-run": "run",
    "api-run-cancel": "run",
    "api-run-differences": "run",
    "api-run-retry": "run",
    "api-run-trace": "run",
    "api-upload": "upload",
    "api-upload-content": "upload",
    "api-upload-runs": "upload",
    "report-dismiss": "report",
    "api-webhook": "endpoint",
    "api-webhook-deliveries": "endpoint",
    "api-webhook-rotate": "endpoint",
    "api-webhook-test": "endpoint",
    "delivery": "delivery",
    "delivery-resend": "delivery",
    "replay": "replay",
    "replay-adopt": "replay",
    "replay-cancel": "replay",
    "run": "run",
    "run-differences": "run",
    "run-cancel": "run",
    "run-retry": "run",
    "upload": "upload",
    "upload-delete": "upload",
    "upload-fetch": "upload",
    "upload-run": "upload",
    "webhook": "endpoint",
    "webhook-change": "endpoint",
    "webhook-delete": "endpoint",
    "webhook-rotate": "endpoint",
    "webhook-switch": "endpoint",
    "webhook-test": "endpoint",
}
# A protocol that comes before who asks, and an address that authorises by itself: their own tests
# say for whom.
OF_ITS_OWN = {"api-tus", "api-tus-session"}
FOREIGN = ("admin/", "accounts/", "static/")
METHODS = ("get", "head", "post", "put", "patch", "delete")
NOWHERE = UUID("00000000-0000-7000-8000-000000000000")


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and path of every pattern below `prefix`."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and not path.startswith(FOREIGN):
            yield pattern.name or "", path


ROUTES = list(routes())
NAMED = dict(ROUTES)


@pytest.fixture
def ids(owner: Any, pipelines: None) -> dict[str, UUID]:
    """Return the ids of one of each thing that the owner has."""
    upload = hand_in(owner, "report.txt", b"some text\n")
    artifact = ("lines.txt", "text/plain", b"SOME TEXT\n")
    scenes = {**checked(upload), "lines": Scene({}, artifacts=[artifact])}
    run = play(upload, scenes, state=RunState.FAILED)
    made = Artifact.objects.filter(record__run=run).first()
    assert made is not None
    selection: Any = {"size": 0, "selection": {}, "created_at": timezone.now()}
    replay = Replay.objects.create(owner=owner, version=run.version, **selection)
    report(owner, name="x", error=EmptyFile(), mark="1")
    endpoint, _ = endpoints.create(owner, name="books", url="https://1.1.1.1/", events=[])
    return {
        "upload": upload.pk,
        "run": run.pk,
        "artifact": made.pk,
        "replay": replay.pk,
        "report": DropReport.objects.get().pk,
        "endpoint": endpoint.pk,
        "delivery": endpoints.send_test(endpoint).pk,
    }


def filled(path: str, pk: UUID) -> str:
    return "/" + re.sub(r"<uuid:\w+>", str(pk), re.sub(r"<(?:str|slug):\w+>", "name", path))


def ask(client: Any, user: Any, name: str, method: str, pk: UUID) -> Any:
    if name.startswith("api-"):
        caller = client(user)
    else:
        from django.test import Client

        caller = Client()
        if user is not None:
            caller.force_login(user, backend=BACKEND)
    answer = getattr(caller, method)(filled(NAMED[name], pk), HTTP_X_REQUEST_ID="same")
    body = b"" if answer.streaming else answer.content
    # Where a page says it failed, it says under which path: there the two ids differ.
    return answer.status_code, body.replace(str(pk).encode(), b"")


def test_every_path_is_listed_once() -> None:
    listed = [*PUBLIC, *PERSONAL, *OWNED, *OF_ITS_OWN]
    assert len(listed) == len(set(listed))
    named = {name for name, _ in ROUTES if name}
    assert named == set(listed)
    twins = {path.rstrip("/") for name, path in ROUTES if name}
    nameless = {path.rstrip("/") for name, path in ROUTES if not name}
    assert nameless <= twins  # the same view under a path with or without a slash


def test_every_path_with_an_id_belongs_to_an_owner() -> None:
    assert {name for name, path in ROUTES if name and "<uuid:" in path} == set(OWNED)


@pytest.mark.parametrize("name", sorted([*PERSONAL, *OWNED]))
@pytest.mark.parametrize("method", METHODS)
def test_a_visitor_gets_nothing(client_of: Any, ids: Any, name: str, method: str) -> None:
    status, _ = ask(client_of, None, name, method, ids[OWNED.get(name, "upload")])
    expected = {401} if name.startswith("api-") else {302, 405}
    assert status in expected


@pytest.mark.parametrize("name", sorted(OWNED))
@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_cannot_tell_what_is_not_theirs_from_nothing(
    client_of: Any, ids: Any, stranger: Any, name: str, method: str
) -> None:
    foreign = ask(client_of, stranger, name, method, ids[OWNED[name]])
    assert foreign == ask(client_of, stranger, name, method, NOWHERE)
    assert foreign[0] in {404, 405}


@pytest.mark.parametrize("name", sorted(OWNED))
def test_the_owner_gets_an_answer(client_of: Any, ids: Any, owner: Any, name: str) -> None:
    statuses = {ask(client_of, owner, name, m, ids[OWNED[name]])[0] for m in ("get", "post")}
    assert statuses & {200, 201, 202, 204, 302, 409}
    assert 404 not in statuses
