"""The first two accounts, and the file that tells their passwords."""

import json
import secrets
from pathlib import Path

from django.db import transaction

from config.accounts.models import User
from config.durable import write_private

FILE_NAME = "first-login.json"
PASSWORD_BYTES = 15


@transaction.atomic
def make_first_accounts(folder: Path, url: str) -> dict[str, str] | None:
    """Make `admin` and `demo` in an installation without accounts; return their passwords.

    The file is durable before the accounts are committed: a crash between leaves a file that
    the next start replaces, and never an account whose password nobody knows.
    """
    if User.objects.exists():
        return None
    passwords = {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in ("admin", "demo")}
    User.objects.create_superuser("admin", password=passwords["admin"])
    User.objects.create_user("demo", password=passwords["demo"])
    content: dict[str, object] = {"url": url}
    for name, password in passwords.items():
        content[name] = {"username": name, "password": password}
    write_private(folder / FILE_NAME, json.dumps(content, indent=2) + "\n")
    return passwords
