"""Every system check of this room: quiet here, and heard when its setting is wrong."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.checks import CheckMessage

from config import checks

FULL = "PRAGMA synchronous = FULL;"


def ids(found: list[CheckMessage]) -> list[str]:
    assert all(message.hint for message in found), "each says what to do"
    return [str(message.id) for message in found]


@pytest.fixture(autouse=True)
def sound(settings: Any) -> None:
    settings.DATA_DIR.chmod(0o700)


@pytest.mark.parametrize(
    "check",
    [
        checks.check_secrets,
        checks.check_upload_handlers,
        checks.check_api_defaults,
        checks.check_tokens,
        checks.check_sqlite,
        checks.check_served_folders,
        checks.check_dotted_paths,
        checks.check_data_folder,
        checks.check_hosts,
    ],
)
def test_the_settings_of_tests_are_sound(check: Callable[[], list[CheckMessage]]) -> None:
    assert check() == []


def rest(**changes: object) -> dict[str, object]:
    return {**configured.REST_FRAMEWORK, **changes}


def jwt(**changes: object) -> dict[str, object]:
    return {**configured.SIMPLE_JWT, **changes}


@pytest.mark.parametrize(
    ("check", "name", "value", "expected"),
    [
        (checks.check_secrets, "SECRET_KEY", "short", "config.E001"),
        (checks.check_secrets, "QUEUE_SIGNING_KEY", "", "config.E001"),
        (checks.check_secrets, "METRICS_TOKEN", "short", "config.E001"),
        (checks.check_secrets, "METRICS_TOKEN", configured.SECRET_KEY, "config.E002"),
        (checks.check_secrets, "QUEUE_SIGNING_KEY", configured.SECRET_KEY, "config.E002"),
        (
            checks.check_upload_handlers,
            "FILE_UPLOAD_HANDLERS",
            ["django.core.files.uploadhandler.TemporaryFileUploadHandler"],
            "config.E003",
        ),
        (
            checks.check_upload_handlers,
            "FILE_UPLOAD_HANDLERS",
            [
                *checks.UPLOAD_HANDLERS,
                "django.core.files.uploadhandler.MemoryFileUploadHandler",
            ],
            "config.E003",
        ),
        (
            checks.check_api_defaults,
            "REST_FRAMEWORK",
            rest(DEFAULT_PERMISSION_CLASSES=["rest_framework.permissions.AllowAny"]),
            "config.E004",
        ),
        (
            checks.check_api_defaults,
            "REST_FRAMEWORK",
            rest(DEFAULT_AUTHENTICATION_CLASSES=[]),
            "config.E004",
        ),
        (
            checks.check_api_defaults,
            "REST_FRAMEWORK",
            rest(DEFAULT_THROTTLE_CLASSES=[]),
            "config.E004",
        ),
        (checks.check_tokens, "SIMPLE_JWT", jwt(ALGORITHM="HS256"), "config.E005"),
        (checks.check_tokens, "SIMPLE_JWT", jwt(AUDIENCE=None), "config.E005"),
        (checks.check_tokens, "SIMPLE_JWT", jwt(ISSUER=None), "config.E005"),
        (checks.check_served_folders, "STATIC_ROOT", configured.DATA_DIR, "config.E007"),
        (checks.check_served_folders, "STATIC_ROOT", configured.DATA_DIR.parent, "config.E007"),
        (checks.check_dotted_paths, "METRICS", ["uploads.metrics.nothing"], "config.E008"),
        (checks.check_dotted_paths, "ON_START", ["nowhere.at_all"], "config.E008"),
        (checks.check_dotted_paths, "HEALTH_CHECKS", {"a": "nowhere.at_all"}, "config.E008"),
        (checks.check_hosts, "ALLOWED_HOSTS", ["*"], "config.E009"),
        (checks.check_trusted_proxies, "TRUSTED_PROXIES", ["10.0.0.1/8"], "config.E011"),
        (checks.check_cookies, "SESSION_COOKIE_NAME", "session", "config.E010"),
        (checks.check_cookies, "CSRF_COOKIE_NAME", "csrf", "config.E010"),
    ],
    ids=itertools.count(1),
)
def test_a_wrong_setting_is_named(
    settings: Any,
    check: Callable[[], list[CheckMessage]],
    name: str,
    value: object,
    expected: str,
) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-session"
    settings.CSRF_COOKIE_NAME = "__Host-csrf"
    setattr(settings, name, value)
    assert ids(check()) == [expected]


def test_no_secret_stands_in_a_message(settings: Any) -> None:
    settings.SECRET_KEY = "a-short-secret"
    settings.QUEUE_SIGNING_KEY = "a-short-secret"
    assert "a-short-secret" not in repr(checks.check_secrets())


@pytest.mark.parametrize(
    ("engine", "options", "expected"),
    [
        ("sqlite3", {"transaction_mode": "IMMEDIATE", "init_command": FULL}, []),
        ("sqlite3", {"init_command": FULL}, ["config.E006"]),
        ("sqlite3", {"transaction_mode": "IMMEDIATE"}, ["config.E006"]),
        ("postgresql", {}, []),
    ],
)
def test_sqlite_must_keep_what_it_has_committed(
    monkeypatch: pytest.MonkeyPatch, engine: str, options: dict[str, str], expected: list[str]
) -> None:
    database = {"ENGINE": f"django.db.backends.{engine}", "OPTIONS": options}
    monkeypatch.setitem(configured.DATABASES, "default", database)
    assert ids(checks.check_sqlite()) == expected


def test_cookies_with_the_prefix_are_sound(settings: Any) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-session"
    settings.CSRF_COOKIE_NAME = "__Host-csrf"
    assert checks.check_cookies() == []


def test_a_data_folder_that_others_can_look_into_is_named(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o750)
    assert ids(checks.check_data_folder()) == ["config.W001"]


def test_a_data_folder_that_is_not_there_yet_is_sound(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "later"
    assert checks.check_data_folder() == []
