"""Chromium as the tests drive it, and the pages that there are to look at."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

EXECUTABLE = os.environ.get("STRONGROOM_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


def is_installed() -> bool:
    """Tell whether there is a browser to drive."""
    return Path(EXECUTABLE).exists()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, url: str, username: str, password: str) -> None:
    """Sign in through the form, as a person does."""
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{url}/")


def pages_to_see(page: Page, url: str) -> dict[str, str]:
    """Return the paths of the pages that a signed-in user can open, by name.

    Each kind of file that is in the inbox gives one page of an upload and one of its run.
    """
    paths = {
        "inbox": "/",
        "inbox-attention": "/?show=attention",
        "inbox-narrowed": "/?kind=text&finding=any",
        "runs": "/runs/",
        "runs-narrowed": "/runs/?state=failed&since=day",
        "runs-none": "/runs/?pipeline=none",
        "stats": "/stats/",
        "status": "/status/",
        "pipelines": "/pipelines/",
        "pipeline": "/pipelines/any/",
        "replays": "/replays/",
        "webhooks": "/webhooks/",
        "webhook-new": "/webhooks/new/",
        "account": "/account/",
        "password": "/accounts/password/change/",
        "second-factor": "/accounts/2fa/",
        "error-404": "/uploads/00000000-0000-7000-8000-000000000000/",
    }
    page.goto(url)
    for link in page.locator("[data-row] a").all():
        kind = (link.inner_text().rsplit(".", 1)[-1] or "file").lower()
        state = link.locator("xpath=ancestor::tr").get_attribute("data-state")
        paths.setdefault(f"upload-{kind}-{state}", link.get_attribute("href") or "/")
    for name, path in list(paths.items()):
        if name.startswith("upload-"):
            page.goto(url + path)
            run = page.locator("#runs a").first
            if run.count():
                paths[name.replace("upload", "run")] = run.get_attribute("href") or "/"
            paths.setdefault("delete", f"{path}delete/")
    return paths


def without_motion(browser: Browser, *, size: dict[str, int], scheme: str) -> BrowserContext:
    """Return a window of a size in light or dark, in which nothing moves."""
    return browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
