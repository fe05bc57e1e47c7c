"""What a start prepares: once, and never again over what is there."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory

from config.accounts.models import User
from config.startup import database, static
from config.startup.first_login import make_first_accounts

URL = "http://localhost:8000"


@pytest.mark.django_db
def test_the_first_start_makes_two_accounts_and_tells_their_passwords(tmp_path: Path) -> None:
    passwords = make_first_accounts(tmp_path, URL)
    assert passwords is not None
    assert set(passwords) == {"admin", "demo"}
    path = tmp_path / "first-login.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {
        "url": URL,
        "admin": {"username": "admin", "password": passwords["admin"]},
        "demo": {"username": "demo", "password": passwords["demo"]},
    }
    for name, password in passwords.items():
        user = authenticate(RequestFactory().post("/"), username=name, password=password)
        assert user is not None
        assert user.is_superuser == (name == "admin")


@pytest.mark.django_db
def test_a_later_start_makes_none(tmp_path: Path) -> None:
    make_first_accounts(tmp_path, URL)
    User.objects.get(username="demo").delete()
    (tmp_path / "first-login.json").unlink()
    assert make_first_accounts(tmp_path, URL) is None
    assert list(tmp_path.iterdir()) == []
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_account_exists_whose_password_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_first_accounts(tmp_path / "gone", URL)
    assert not User.objects.exists()
    assert make_first_accounts(tmp_path, URL) is not None


@pytest.mark.django_db
def test_a_database_that_is_up_to_date_is_left_alone() -> None:
    with patch.object(database, "call_command") as command:
        assert database.migrate() is False
    command.assert_not_called()


@pytest.fixture
def sources(tmp_path: Path, settings: Any) -> Path:
    """Return a folder that is the only source of static files."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "site.css").write_text("a {}")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [folder]
    settings.STATIC_ROOT = tmp_path / "static"
    return folder


def test_static_files_are_collected_once(sources: Path, settings: Any) -> None:
    assert static.collect() is True
    assert (settings.STATIC_ROOT / "site.css").read_text() == "a {}"
    assert static.collect() is False


def test_a_changed_source_is_collected_again(sources: Path, settings: Any) -> None:
    static.collect()
    path = sources / "site.css"
    path.write_text("b {}")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert static.collect() is True


def test_a_start_that_ended_while_collecting_is_made_up_for(sources: Path, settings: Any) -> None:
    interrupted = patch.object(static, "call_command", side_effect=KeyboardInterrupt)
    with interrupted, pytest.raises(KeyboardInterrupt):
        static.collect()
    assert static.collect() is True
