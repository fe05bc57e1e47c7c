"""Alive, ready, and who may see the metrics."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from config import health
from config.health import Health


def broken() -> Health:
    raise ConnectionError("secret://user:password@host")


def failing() -> Health:
    return Health.FAILED


def fine() -> Health:
    return Health.OK


def missing() -> Health:
    return Health.NOT_INSTALLED


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0)


@pytest.fixture
def checks(settings: Any) -> Callable[..., None]:
    def register(**names: str) -> None:
        settings.HEALTH_CHECKS = {name: f"{__name__}.{check}" for name, check in names.items()}

    return register


def test_being_alive_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_it_is_ready_when_everything_that_is_installed_works(
    client: Client, checks: Callable[..., None]
) -> None:
    checks(storage="fine", scanner="missing")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"database": "ok", "storage": "ok", "scanner": "not_installed"},
    }


@pytest.mark.django_db
@pytest.mark.parametrize("check", ["failing", "broken"])
def test_it_is_not_ready_when_one_check_fails(
    client: Client, checks: Callable[..., None], check: str
) -> None:
    checks(storage="fine", worker=check)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "checks": {"database": "ok", "storage": "ok", "worker": "failed"},
    }


def test_it_is_not_ready_without_a_database(client: Client, checks: Callable[..., None]) -> None:
    checks()
    answer = client.get("/readyz")  # tests without the mark cannot reach the database
    assert (answer.status_code, answer.json()["checks"]) == (503, {"database": "failed"})


@pytest.mark.django_db
def test_a_finding_is_told_again_for_a_moment(
    client: Client, checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(storage="fine")
    client.get("/readyz")
    monkeypatch.setattr(health, "FRESH_S", 60)
    checks(storage="failing")
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_only_reads_are_answered(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


TOKEN = "t" * 40
ELSEWHERE = "203.0.113.9"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "meta"),
    [
        (200, {"REMOTE_ADDR": "127.0.0.1"}),
        (200, {"REMOTE_ADDR": "::1"}),
        (404, {"REMOTE_ADDR": ELSEWHERE}),
        (404, {"REMOTE_ADDR": ""}),
        (404, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": ELSEWHERE}),
        (404, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}),
        (404, {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": f"for={ELSEWHERE}"}),
        (200, {"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}),
        (404, {"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": f"Bearer {TOKEN[:-1]}"}),
        (404, {"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer "}),
        (404, {"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer \u00e9"}),
    ],
)
def test_metrics_are_shown_to_this_machine_and_to_the_holder_of_the_token(
    client: Client, settings: Any, status: int, meta: dict[str, Any]
) -> None:
    settings.METRICS = []
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", **meta).status_code == status


@pytest.mark.django_db
def test_without_a_token_nobody_is_its_holder(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    meta: dict[str, Any] = {"REMOTE_ADDR": ELSEWHERE, "HTTP_AUTHORIZATION": "Bearer "}
    assert client.get("/metrics", **meta).status_code == 404


def test_staff_see_the_metrics_from_anywhere(
    client: Client, settings: Any, administrator: Any, owner: Any
) -> None:
    settings.METRICS = []
    for user, status in ((owner, 404), (administrator, 200)):
        client.force_login(user)
        assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE).status_code == status


@pytest.mark.django_db
def test_metrics_are_in_the_text_format_of_prometheus(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.content.decode().splitlines()
    assert 'strongroom_uploads{state="succeeded"} 0.0' in lines
    assert 'strongroom_stored_bytes{kind="content"} 0.0' in lines
    assert 'strongroom_runs{state="queued"} 0.0' in lines
    assert "strongroom_queue_runs 0.0" in lines
    assert "strongroom_worker_silence_seconds NaN" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
