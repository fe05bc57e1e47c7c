"""Settings that every environment shares. The other modules override, and add nothing new."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from config.env import PROJECT_DIR, data_dir, env
from config.settings.databases import *  # noqa: F403
from config.settings.drop import DROP
from config.settings.judgement import JUDGEMENT
from config.settings.logs import *  # noqa: F403
from config.settings.webhooks import WEBHOOKS

BASE_DIR = PROJECT_DIR
DATA_DIR = data_dir()

# --- Django ---------------------------------------------------------------------------------

DEBUG = False
# This machine's own probes call it by the last two.
ALLOWED_HOSTS: list[str] = [
    *env.list("STRONGROOM_ALLOWED_HOSTS", default=[]),
    "localhost",
    "127.0.0.1",
]
CSRF_TRUSTED_ORIGINS: list[str] = env.list("STRONGROOM_ORIGINS", default=[])
# Networks of the proxies whose X-Forwarded-For is believed.
TRUSTED_PROXIES: list[str] = env.list("STRONGROOM_TRUSTED_PROXIES", default=[])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
SITE_NAME = "Strongroom"

INSTALLED_APPS = [
    "config",
    "config.accounts",
    "config.events",
    "config.idempotency",
    "django_q",  # before ours, which takes its pages out of the admin
    "uploads",
    "processing",
    "processing.webhooks",
    "dashboard",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]

MIDDLEWARE = [
    "config.middleware.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.NoStoreMiddleware",
    "config.middleware.RequestIdMiddleware",
    "config.entity_tags.EntityTagMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "dashboard" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Cache ----------------------------------------------------------------------------------

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Mail -----------------------------------------------------------------------------------

# Without a mail server nothing is sent, and nothing promises it: administrators set passwords.
vars().update(env.email_url("STRONGROOM_EMAIL_URL", default="dummymail://"))
EMAIL_TIMEOUT = 10  # seconds; a mail server that says nothing must keep nobody

# --- Sign-in --------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    # First, so that a locked-out pair of name and address never reaches a password check.
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "config.accounts.adapters.AccountAdapter"
MFA_ADAPTER = "config.accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE_NAME
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = False  # an own good sign-in must not wipe out guesses at another
AXES_LOCKOUT_CALLABLE = "config.accounts.lockout.locked_out"
AXES_IPWARE_META_PRECEDENCE_ORDER = ["REMOTE_ADDR"]  # a header is the client's word
AXES_VERBOSE = False

SESSION_COOKIE_NAME = "strongroom_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_NAME = "strongroom_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.problems.csrf_failure"

# --- Answers to browsers --------------------------------------------------------------------

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STRONGROOM_STATIC_DIR", default=str(DATA_DIR / "static")))
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    },
    # For blobs: which of them are used, UPLOADS["STORAGE"] says.
    "local": {"BACKEND": "uploads.storage.local.LocalStore"},
    "s3": {
        "BACKEND": "uploads.storage.s3.S3Store",
        "OPTIONS": {
            "bucket": env.str("STRONGROOM_S3_BUCKET", default=""),
            "prefix": env.str("STRONGROOM_S3_PREFIX", default=""),
            "endpoint_url": env.str("STRONGROOM_S3_ENDPOINT", default="") or None,
            "region": env.str("STRONGROOM_S3_REGION", default="us-east-1"),
            # Without these two, boto3 looks where it always does.
            "access_key": env.str("STRONGROOM_S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("STRONGROOM_S3_SECRET_KEY", default="") or None,
            "checksums": env.bool("STRONGROOM_S3_CHECKSUMS", default=True),
        },
    },
}
# Django's own handlers write plaintext to a disk. No view of ours reads request.FILES; whoever
# tries meets this handler, which keeps what is small and refuses the rest.
FILE_UPLOAD_HANDLERS = ["config.refusing_upload_handler.RefusingUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

# --- API ------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.accounts.authentication.TokenAuthentication",
        "config.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.api.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "config.api.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "config.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": [
        "config.throttles.UserThrottle",
        "config.throttles.AddressThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        # Requests in one minute: of a signed-in user, of an address without an account, and
        # tries of one address at a password.
        "user": env.int("STRONGROOM_REQUESTS_PER_MINUTE", default=60_000),
        "address": 600,
        "sign_in": env.int("STRONGROOM_SIGN_INS_PER_MINUTE", default=60),
    },
    "EXCEPTION_HANDLER": "config.api.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COERCE_DECIMAL_TO_STRING": False,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": SITE_NAME,
    "DESCRIPTION": "Hand in files, follow every step that is done to them, fetch the results.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RunState": "processing.models.RunState",
        "StepState": "processing.models.StepState",
        "DeliveryState": "processing.webhooks.models.DeliveryState",
        "EventName": "processing.webhooks.events.EVENT_CHOICES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.schema.add_problem_responses",
    ],
}

SIMPLE_JWT: dict[str, Any] = {
    "ALGORITHM": "EdDSA",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "UPDATE_LAST_LOGIN": False,
    "AUDIENCE": "strongroom-api",
    "ISSUER": "strongroom",
    "USER_ID_CLAIM": "sub",
    "AUTH_TOKEN_CLASSES": ("config.accounts.tokens.AccessToken",),
}

# --- Rooms ----------------------------------------------------------------------------------

# Rooms above register with this one by dotted paths: what must work, what is counted, what a
# start prepares.
HEALTH_CHECKS: dict[str, str] = {
    "disk": "uploads.health.disk",
    "storage": "uploads.health.storage",
    "keys": "uploads.health.keys",
    "drop_folders": "uploads.health.drop_folders",
    "worker": "processing.health.worker",
    "sandbox": "processing.health.sandbox",
    "antivirus": "processing.health.antivirus",
    "yara": "processing.health.yara",
    "ocr": "processing.health.ocr",
    "libarchive": "processing.health.libarchive",
}
METRICS: list[str] = ["uploads.metrics.collect", "processing.metrics.collect"]
METRICS_TOKEN: str = env.str("STRONGROOM_METRICS_TOKEN", default="")
# What the blobs of a room above must hold, for `manage.py verify`.
BLOB_DIGESTS: list[str] = ["processing.digests.digests_of"]
# Deletes a user with everything that belongs to them, for the admin.
DELETE_USER = "uploads.deletion.delete_user_for_admin"
ON_START: list[str] = [
    "uploads.checks.refuse_unfit_policies",
    "processing.definitions.sync_builtin",
]

EDGE: dict[str, Any] = {
    # Threads that run Django; a request that waits longer for one than QUEUE_S gets a 503.
    "THREADS": env.int("STRONGROOM_WEB_THREADS", default=16),
    "QUEUE_S": 10,
    # Largest body that is read whole into memory, in bytes: forms and JSON, never files.
    "MAX_SMALL_BODY_BYTES": 1024 * 1024,
    # A body that brings nothing for so long, or less than so much once the grace is over, is cut.
    "BODY_IDLE_S": 30,
    "BODY_GRACE_S": 30,
    "MIN_BYTES_PER_S": 1024,
}

UPLOADS: dict[str, Any] = {
    # Names of entries in STORAGES: the first takes new blobs, all of them are read.
    "STORAGE": env.list("STRONGROOM_STORAGE", default=["local"]),
    "BLOBS_DIR": DATA_DIR / "blobs",
    # The key ring: a file, or, if it is not empty, the same JSON from the environment.
    "MASTER_KEYS_FILE": Path(
        env.str("STRONGROOM_MASTER_KEYS_FILE", default=str(DATA_DIR / "keys" / "master-keys.json"))
    ),
    "MASTER_KEYS_JSON": env.str("STRONGROOM_MASTER_KEYS_JSON", default=""),
    # What may protect the keys in the ring, by the name that stands there, and what that needs.
    "KEY_CUSTODIES": {
        "passphrase": "uploads.master_keys.passphrase.Passphrase",
        "aws_kms": "uploads.master_keys.aws_kms.AwsKms",
    },
    "MASTER_KEYS_PASSPHRASE": env.str("STRONGROOM_MASTER_KEYS_PASSPHRASE", default="").rstrip(
        "\r\n"
    ),
    "KMS_ENDPOINT": env.str("STRONGROOM_KMS_ENDPOINT", default=""),
    # Largest plaintext accepted, in bytes.
    "MAX_BYTES": env.int("STRONGROOM_MAX_UPLOAD_BYTES", default=16 * 1024**3),
    # What each user may hold, unless their own quota says otherwise: bytes and number of uploads.
    "QUOTA_BYTES": env.int("STRONGROOM_QUOTA_BYTES", default=100 * 1024**3),
    "QUOTA_FILES": env.int("STRONGROOM_QUOTA_FILES", default=1_000_000),
    **JUDGEMENT,
    # The last bytes of the disk are not for large files; on a small disk, its last twentieth.
    "RESERVE_BYTES": env.int("STRONGROOM_RESERVE_BYTES", default=512 * 1024**2),
    **DROP,
    # When `manage.py nightly` tidies up (UTC), and how much of everything it then verifies.
    "NIGHTLY_AT": env.str("STRONGROOM_NIGHTLY_AT", default="03:00"),
    "NIGHTLY_SAMPLE": env.str("STRONGROOM_NIGHTLY_SAMPLE", default="1%"),
}

PROCESSING: dict[str, Any] = {
    "WORKERS": env.int("STRONGROOM_WORKERS", default=2),
    # How long a claim holds without being renewed. A killed worker costs this, and a third more.
    "LEASE_S": env.int("STRONGROOM_LEASE_S", default=20),
    "MAX_ATTEMPTS": 3,
    # How many runs of a step may be at it at once, over all workers: "ocr=1,antivirus=2".
    "STEP_CAPS": env.dict("STRONGROOM_STEP_CAPS", cast={"value": int}, default={}),
    # When so many runs wait, doors ask for patience (503).
    "MAX_QUEUED": env.int("STRONGROOM_MAX_QUEUED", default=100_000),
    # How much may come out of one upload, archives in archives included: files, bytes of them
    # together, and how deep.
    "FAMILY": {
        "MAX_FILES": env.int("STRONGROOM_FAMILY_MAX_FILES", default=1000),
        "MAX_BYTES": env.int("STRONGROOM_FAMILY_MAX_BYTES", default=4 * 1024**3),
        "MAX_DEPTH": env.int("STRONGROOM_FAMILY_MAX_DEPTH", default=3),
    },
    # Steps run in a locked-down child process. Where the kernel cannot lock one down, they
    # refuse to run, unless this says otherwise.
    "ALLOW_UNSANDBOXED": env.bool("STRONGROOM_ALLOW_UNSANDBOXED", default=False),
    # How many plain files of one owner may go through one such process in a row; 1 is a process
    # for each file, as files that a parser in C has read always get.
    "FILES_PER_CHILD": env.int("STRONGROOM_FILES_PER_CHILD", default=32),
    # Redis or RabbitMQ, to carry the messages between web and worker machines. Without one, rows
    # and bells of the database do. Nothing is lost with any of them: the ledger is the truth.
    "BROKER_URL": env.str("STRONGROOM_BROKER_URL", default=""),
    # How long attempts that came to nothing stay in the trace of a run that succeeded.
    "TRACE_DAYS": env.int("STRONGROOM_TRACE_DAYS", default=30),
    # Where spans of runs are sent (OTLP over HTTP), such as http://collector:4318/v1/traces.
    "OTLP_ENDPOINT": env.str("STRONGROOM_OTLP_ENDPOINT", default=""),
    "WEBHOOKS": WEBHOOKS,
    # The bell: workers wait on this socket, whoever submits a run rings it.
    "BELL": DATA_DIR / "run" / "bell",
}

Q_CLUSTER: dict[str, Any] = {
    "name": "strongroom",
    "label": "Queue",
    "workers": PROCESSING["WORKERS"],
    "orm": "default",
    "broker_class": (
        "processing.queue.remote.RemoteBroker"
        if PROCESSING["BROKER_URL"]
        else "processing.queue.BellBroker"
    ),
    "bulk": 1,
    "queue_limit": 2 * PROCESSING["WORKERS"],
    # A task drains the ledger, which takes as long as there is work; steps have limits of their
    # own. The timeout only frees a worker that neither works nor ends.
    "timeout": 24 * 60 * 60,
    "retry": 25 * 60 * 60,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 1_000_000,
    "catch_up": False,
    "scheduler": False,
    "log_level": "WARNING",
}
