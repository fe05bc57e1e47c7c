"""Is it alive, is it ready, how is it doing: for supervisors, balancers and Prometheus.

The rooms above register what must work by the dotted paths in settings.HEALTH_CHECKS: functions
without arguments that return a state, or a finding where there is more to tell.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from hmac import compare_digest
from ipaddress import ip_address
from threading import Lock

from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config import metrics as prometheus

logger = logging.getLogger(__name__)

FRESH_S = 1.0  # so long a finding is told again: asking costs a write to the disk


class Health(StrEnum):
    """What a check finds. Only the second keeps the system from being ready.

    What is `refusing` is missing, and what needs it does not run without.
    """

    OK = "ok"
    FAILED = "failed"
    DEGRADED = "degraded"
    REFUSING = "refusing"
    NOT_INSTALLED = "not_installed"


Fact = str | int | float | datetime | None


@dataclass(frozen=True)
class Finding:
    """The state of one part. `facts` are for administrators; names carry units, none is secret."""

    health: Health
    facts: Mapping[str, Fact] = field(default_factory=dict)


Check = Callable[[], Health | Finding]


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Answer; that is all."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Say whether files can be taken in and worked on."""
    found = {name: finding.health for name, finding in findings().items()}
    ready = Health.FAILED not in found.values()
    response = JsonResponse(
        {"status": "ready" if ready else "not_ready", "checks": found},
        status=200 if ready else 503,
    )
    # "Not yet" is an answer. What is wrong is logged by the check that found it.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics to this machine, to the holder of the token, and to staff."""
    if not (_is_local(request) or _has_token(request) or _is_staff(request)):
        raise Http404
    return HttpResponse(
        prometheus.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8"
    )


def database() -> Finding:
    """Ask the database something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        health = Health.OK if cursor.fetchone() == (1,) else Health.FAILED
    return Finding(health, {"engine": connection.display_name})


class _Findings:
    """The latest findings, made by one thread at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[str, Finding] = {}
        self._found_at = 0.0

    def get(self) -> Mapping[str, Finding]:
        with self._lock:
            if not self._found or time.monotonic() - self._found_at > FRESH_S:
                before = self._found
                self._found = {name: _run(name, check) for name, check in _checks().items()}
                self._found_at = time.monotonic()
                _log_changes(before, self._found)
            return self._found


findings = _Findings().get


def _log_changes(before: Mapping[str, Finding], now: Mapping[str, Finding]) -> None:
    for name, finding in now.items():
        health = finding.health
        if before.get(name, finding).health is not health:
            bad = health in {Health.FAILED, Health.REFUSING}
            level = logging.WARNING if bad else logging.INFO
            logger.log(level, "health changed", extra={"check": name, "health": health})


def _checks() -> dict[str, Check]:
    registered = settings.HEALTH_CHECKS.items()
    return {"database": database} | {
        name: partial(_imported_check, path) for name, path in registered
    }


def _imported_check(path: str) -> Health | Finding:
    check: Check = import_string(path)
    return check()


def _run(name: str, check: Check) -> Finding:
    try:
        found = check()
    except Exception:
        logger.exception("health check failed", extra={"check": name})
        return Finding(Health.FAILED)
    return found if isinstance(found, Finding) else Finding(found)


def _is_local(request: HttpRequest) -> bool:
    """Tell whether the request was made on this machine, and not handed on by a proxy on it."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    return bool(token) and compare_digest(given.encode(), f"Bearer {token}".encode())


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff
