"""Misconfiguration of what every room shares. It stops the start, with an id and a remedy."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

SHORTEST_SECRET = 32  # characters
UPLOAD_HANDLERS = ["config.refusing_upload_handler.RefusingUploadHandler"]


@checks.register(checks.Tags.security)
def check_secrets(**_: Any) -> list[checks.CheckMessage]:
    """E001, E002: each secret is long, and no two are the same."""
    secrets = {
        "SECRET_KEY": settings.SECRET_KEY,
        "QUEUE_SIGNING_KEY": settings.QUEUE_SIGNING_KEY,
        "SIMPLE_JWT['SIGNING_KEY']": settings.SIMPLE_JWT["SIGNING_KEY"],
    }
    if settings.METRICS_TOKEN:
        secrets["METRICS_TOKEN"] = settings.METRICS_TOKEN
    remedy = "Generate one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`."
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"{name} is shorter than {SHORTEST_SECRET} characters.", remedy, id="config.E001"
        )
        for name, secret in secrets.items()
        if len(secret) < SHORTEST_SECRET
    ]
    if len(set(secrets.values())) < len(secrets):
        names = ", ".join(secrets)
        found.append(checks.Error(f"Two of these are the same: {names}.", remedy, id="config.E002"))
    return found


@checks.register(checks.Tags.security)
def check_upload_handlers(**_: Any) -> list[checks.CheckMessage]:
    """E003: no upload handler that writes plaintext to a disk."""
    if list(settings.FILE_UPLOAD_HANDLERS) == UPLOAD_HANDLERS:
        return []
    return [
        checks.Error(
            "FILE_UPLOAD_HANDLERS names a handler that may write files to a disk unencrypted.",
            f"Set it to {UPLOAD_HANDLERS}.",
            id="config.E003",
        )
    ]


@checks.register(checks.Tags.security)
def check_api_defaults(**_: Any) -> list[checks.CheckMessage]:
    """E004: an endpoint that says nothing about who may use it is closed, and throttled."""
    rest = settings.REST_FRAMEWORK
    closed = "rest_framework.permissions.IsAuthenticated" in rest["DEFAULT_PERMISSION_CLASSES"]
    if closed and rest["DEFAULT_AUTHENTICATION_CLASSES"] and rest["DEFAULT_THROTTLE_CLASSES"]:
        return []
    return [
        checks.Error(
            "REST_FRAMEWORK leaves endpoints open to anybody, or without a throttle, by default.",
            "Give DEFAULT_PERMISSION_CLASSES IsAuthenticated, and name authentication and "
            "throttle classes.",
            id="config.E004",
        )
    ]


@checks.register(checks.Tags.security)
def check_tokens(**_: Any) -> list[checks.CheckMessage]:
    """E005: tokens say who made them for whom, and only the holder of the key can make them."""
    jwt = settings.SIMPLE_JWT
    if jwt["ALGORITHM"] == "EdDSA" and jwt["AUDIENCE"] and jwt["ISSUER"]:
        return []
    return [
        checks.Error(
            "SIMPLE_JWT makes tokens without audience or issuer, or with a shared secret.",
            "Set ALGORITHM to EdDSA, and AUDIENCE and ISSUER to names of this deployment.",
            id="config.E005",
        )
    ]


@checks.register(checks.Tags.database)
def check_sqlite(**_: Any) -> list[checks.CheckMessage]:
    """E006: SQLite takes write locks at the start and keeps what it has committed."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    options = database.get("OPTIONS", {})
    pragmas = options.get("init_command", "").replace(" ", "").upper()
    if options.get("transaction_mode") == "IMMEDIATE" and "SYNCHRONOUS=FULL" in pragmas:
        return []
    return [
        checks.Error(
            "SQLite may lose a committed upload in a power cut, or fail with a locked database.",
            "Set OPTIONS: transaction_mode IMMEDIATE, init_command PRAGMA synchronous=FULL.",
            id="config.E006",
        )
    ]


@checks.register(checks.Tags.files)
def check_served_folders(**_: Any) -> list[checks.CheckMessage]:
    """E007: what is served to anybody holds no data."""
    served, data = Path(settings.STATIC_ROOT), Path(settings.DATA_DIR)
    if not data.is_relative_to(served):
        return []
    return [
        checks.Error(
            "STATIC_ROOT, which is served to anybody, contains the data folder.",
            "Let STATIC_ROOT name a folder of its own, for example DATA_DIR/static.",
            id="config.E007",
        )
    ]


@checks.register
def check_dotted_paths(**_: Any) -> list[checks.CheckMessage]:
    """E008: what rooms register by name exists."""
    paths = [*settings.HEALTH_CHECKS.values(), *settings.METRICS, *settings.ON_START]
    return [
        checks.Error(
            f"HEALTH_CHECKS, METRICS or ON_START name {path}, which does not exist.",
            "Correct the dotted path, or take it out.",
            id="config.E008",
        )
        for path in paths
        if not _exists(path)
    ]


@checks.register(checks.Tags.security)
def check_data_folder(**_: Any) -> list[checks.CheckMessage]:
    """W001: nobody else on this machine can read the data folder."""
    folder = Path(settings.DATA_DIR)
    if not folder.exists() or not folder.stat().st_mode & 0o077:
        return []
    return [
        checks.Warning(
            "Other users of this machine can look into the data folder.",
            f"Run: chmod 700 {folder}",
            id="config.W001",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_hosts(**_: Any) -> list[checks.CheckMessage]:
    """E009: the deployment knows its own names."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        checks.Error(
            "ALLOWED_HOSTS accepts every name, so that a forged one ends up in links.",
            "Set STRONGROOM_ALLOWED_HOSTS to the names of this deployment.",
            id="config.E009",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_cookies(**_: Any) -> list[checks.CheckMessage]:
    """E010: a sibling host cannot plant the cookies that matter."""
    names = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
    if all(name.startswith("__Host-") for name in names):
        return []
    return [
        checks.Error(
            "SESSION_COOKIE_NAME or CSRF_COOKIE_NAME lacks the prefix __Host-.",
            "Run with DJANGO_SETTINGS_MODULE=config.settings.production.",
            id="config.E010",
        )
    ]


@checks.register(checks.Tags.security)
def check_trusted_proxies(**_: Any) -> list[checks.CheckMessage]:
    """E011: the networks of the proxies are networks."""
    return [
        checks.Error(
            f"TRUSTED_PROXIES names {name!r}, which is no network.",
            "Set STRONGROOM_TRUSTED_PROXIES to networks such as 10.0.0.0/8,fd00::/8.",
            id="config.E011",
        )
        for name in settings.TRUSTED_PROXIES
        if not _is_network(name)
    ]


def _is_network(name: str) -> bool:
    try:
        ip_network(name)
    except ValueError:
        return False
    return True


def _exists(path: str) -> bool:
    try:
        import_string(path)
    except ImportError:
        return False
    return True
