"""The page of the state of the service: for users in sentences, for administrators with facts."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from config import health
from config.health import Finding, Health
from dashboard.status import CHECKS, FACTS, status_page
from processing.models import Worker
from tests.dashboard.conftest import Visit

SECRET_PLACE = "/srv/secret-place"


def body(client: Any) -> str:
    text: str = client.get(reverse("status")).content.decode()
    return text


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """Let the page find what a test says."""
    found = {"database": Finding(Health.OK, {"engine": "SQLite"})}
    monkeypatch.setattr("dashboard.status.findings", lambda: found)
    return found


def test_it_shows_every_check_that_readyz_names(visit: Visit, owner: Any, client: Any) -> None:
    text = body(visit(owner))
    checks = client.get("/readyz").json()["checks"]
    assert {"database", "disk", "storage", "keys", "worker", "sandbox"} <= set(checks)
    for name in checks:
        assert f'id="part-{name}"' in text
        assert CHECKS[name].title in text


@pytest.mark.django_db
def test_every_fact_and_every_state_has_words(settings: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "CLAMD": "unix:/nowhere", "YARA_RULES": "/nowhere"}
    for name, finding in health.findings().items():
        assert set(finding.facts) <= set(FACTS)
        assert CHECKS[name].meanings[finding.health]
    assert all(words.meanings[Health.OK] for words in CHECKS.values())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Health.OK, "All is well"),
        (Health.NOT_INSTALLED, "All is well"),
        (Health.DEGRADED, "something missing"),
        (Health.REFUSING, "something missing"),
        (Health.FAILED, "Something does not work"),
    ],
)
def test_the_worst_part_decides(
    visit: Visit, owner: Any, found: dict[str, Finding], state: Health, said: str
) -> None:
    found["antivirus"] = Finding(state)
    assert said in body(visit(owner))


def test_a_user_reads_that_parsers_refuse_and_what_it_means(
    visit: Visit, owner: Any, found: dict[str, Finding]
) -> None:
    found["sandbox"] = Finding(Health.REFUSING, {"landlock_version": 0, "seccomp": True})
    text = body(visit(owner))
    assert "Refusing" in text
    assert "sandbox_unavailable" in text
    assert "Landlock" not in text


def test_the_administrator_reads_what_the_kernel_lacks(
    visit: Visit, administrator: Any, found: dict[str, Finding]
) -> None:
    found["sandbox"] = Finding(
        Health.DEGRADED,
        {
            "landlock_version": 0,
            "seccomp": True,
            "resource_limits": True,
            "unsandboxed_allowed": True,
        },
    )
    text = body(visit(administrator))
    for label, value in (
        ("Landlock", "missing"),
        ("seccomp", "given"),
        ("Resource limits", "given"),
        ("May run without", "yes"),
    ):
        assert f"<dt>{label}</dt><dd>{value}</dd>" in text


def test_facts_and_workers_are_for_administrators(
    visit: Visit, owner: Any, administrator: Any, found: dict[str, Finding]
) -> None:
    found["yara"] = Finding(Health.DEGRADED, {"problem": f"{SECRET_PLACE} cannot be read."})
    Worker.objects.create(name="host/1/3", seen_at=timezone.now())
    Worker.objects.create(name="host/1/2", seen_at=timezone.now() - timedelta(minutes=5))
    Worker.objects.create(name="host/1/4", seen_at=timezone.now() - timedelta(hours=2))
    seen, hidden = body(visit(administrator)), body(visit(owner))
    for words in (SECRET_PLACE, "host/1/2", "host/1/3", "Alive", "Silent"):
        assert words in seen
        assert words not in hidden
    assert seen.index("host/1/3") < seen.index("host/1/2"), "the living come first"
    assert "host/1/4" not in seen, "it was forgotten"
    assert all(not row.details for row in status_page(owner).rows)


def test_without_workers_the_page_says_so(
    visit: Visit, administrator: Any, found: dict[str, Finding]
) -> None:
    assert "No worker was heard of" in body(visit(administrator))


def test_a_check_of_somebody_elses_is_shown_under_its_name(
    visit: Visit, owner: Any, found: dict[str, Finding]
) -> None:
    found["plugin"] = Finding(Health.OK)
    assert 'id="part-plugin"' in body(visit(owner))


@pytest.mark.parametrize("workers", [0, 5])
def test_it_costs_a_fixed_number_of_queries(
    visit: Visit,
    administrator: Any,
    found: dict[str, Finding],
    django_assert_max_num_queries: Any,
    workers: int,
) -> None:
    for number in range(workers):
        Worker.objects.create(name=f"host/1/{number}", seen_at=timezone.now())
    client = visit(administrator)
    with django_assert_max_num_queries(4):  # session, user, workers, the runs that they hold
        assert client.get(reverse("status")).status_code == 200
