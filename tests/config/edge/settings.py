"""The smallest site that the edge can stand before: no apps, no database, no secrets of worth."""

from typing import Any

SECRET_KEY = "only-for-the-edge-tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.config.edge.site"
USE_TZ = True
DATABASES: dict[str, Any] = {}
STATIC_URL = "/static/"
STATIC_ROOT = None
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.RequestIdMiddleware",
    "django.middleware.common.CommonMiddleware",
]
EDGE: dict[str, Any] = {"BODY_IDLE_S": 30}
LOGGING_CONFIG = None
UPLOADS: dict[str, Any] = {}
