"""A running Strongroom, and a browser that looks at it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browser import browsing
from tests.stack import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0


@dataclass(frozen=True)
class Account:
    """Who signs in."""

    username: str
    password: str


@dataclass(frozen=True)
class Stack:
    """What `manage.py up` has started."""

    url: str
    demo: Account
    admin: Account
    data_dir: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not browsing.is_installed():
                item.add_marker(pytest.mark.skip(reason="There is no Chromium to drive."))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything in an empty data folder; stop it at the end."""
    data_dir = tmp_path_factory.mktemp("up")
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "STRONGROOM_DATA_DIR": str(data_dir),
        "STRONGROOM_PORT": str(free_port()),
    }
    log = data_dir / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up"],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, log)
            yield _stack(data_dir)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_S
    while b"\nREADY " not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"It did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.2)


def _stack(data_dir: Path) -> Stack:
    first: dict[str, Any] = json.loads((data_dir / "first-login.json").read_text())
    return Stack(first["url"], Account(**first["demo"]), Account(**first["admin"]), data_dir)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a window; a script that fails or is blocked by the policy fails the test."""
    context = browsing.without_motion(browser, size=browsing.DESK, scheme="light")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: _hear(message, complaints))
    yield page
    context.close()
    assert complaints == []


def _hear(message: ConsoleMessage, complaints: list[str]) -> None:
    if "Content Security Policy" in message.text or message.text.startswith("Refused to"):
        complaints.append(message.text)


@pytest.fixture(scope="session")
def signed_in() -> list[Any]:
    """Return the cookies of the demo user's session, once there is one."""
    return []


@pytest.fixture
def demo(stack: Stack, page: Page, signed_in: list[Any]) -> Page:
    """Show the demo user the inbox; sign them in, unless their session of before still holds."""
    page.context.add_cookies(signed_in)
    page.goto(f"{stack.url}/")
    if page.url != f"{stack.url}/":
        browsing.sign_in(page, stack.url, stack.demo.username, stack.demo.password)
        signed_in[:] = page.context.cookies()
    return page
