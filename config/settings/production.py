"""A deployment behind HTTPS. Everything that is a secret comes from the environment or a file."""

from config.env import env
from config.secrets import public_pem
from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES, SIMPLE_JWT

SECRET_KEY = env.str("STRONGROOM_SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("STRONGROOM_SECRET_KEY_FALLBACKS", default=[])
QUEUE_SIGNING_KEY = env.str("STRONGROOM_QUEUE_SIGNING_KEY")
SIMPLE_JWT["SIGNING_KEY"] = env.str("STRONGROOM_JWT_PRIVATE_PEM")
SIMPLE_JWT["VERIFYING_KEY"] = public_pem(SIMPLE_JWT["SIGNING_KEY"])
for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = 600

SESSION_COOKIE_NAME = "__Host-strongroom_session"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-strongroom_csrf"
CSRF_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
# Set only behind a proxy that overwrites the header; without it the connection itself decides.
if env.bool("STRONGROOM_TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
