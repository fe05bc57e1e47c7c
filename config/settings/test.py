"""Tests: throw-away keys, a temporary data folder, fast password hashes."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folder = tempfile.mkdtemp(prefix="strongroom-test-")
_owner = os.getpid()
os.environ["STRONGROOM_DATA_DIR"] = _folder


@atexit.register
def _remove_folder() -> None:
    if os.getpid() == _owner:  # a forked child shares the exit handlers, not the folder
        shutil.rmtree(_folder, ignore_errors=True)


from config.settings.local import *  # noqa: E402, F403
from config.settings.local import DATABASES, LOGGING, REST_FRAMEWORK, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
LOGGING["root"]["level"] = "WARNING"
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = {"user": 10**9, "address": 10**9, "sign_in": 10**9}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads and child processes of a test must see the same database.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_folder) / "test.sqlite3")}
