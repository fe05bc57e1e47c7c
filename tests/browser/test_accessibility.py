"""axe finds nothing on any page, in light and dark, on a desk and a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import papers
from tests.browser.browsing import DESK, PHONE, pages_to_see, sign_in, without_motion
from tests.browser.conftest import Stack
from tests.browser.test_journey import SLOW_MS, choose, payload, row


@pytest.fixture(scope="module")
def furnished(stack: Stack, browser: Browser) -> None:
    """Make sure that there is something on every page."""
    context = without_motion(browser, size=DESK, scheme="light")
    page = context.new_page()
    sign_in(page, stack.url, stack.demo.username, stack.demo.password)
    files = {**papers.files(), "damaged.png": papers.picture()[:200]}
    choose(page, *(payload(name, content) for name, content in files.items()))
    for name in files:
        expect(row(page, name)).to_have_attribute(
            "data-state", "failed" if name == "damaged.png" else "succeeded", timeout=SLOW_MS
        )
    context.close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {violation['id']}: {node['html'][:160]}"
        for violation in found
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light")],
    ids=["desk-light", "desk-dark", "phone-light"],
)
def test_every_page_is_free_of_violations(
    stack: Stack, browser: Browser, furnished: None, size: dict[str, int], scheme: str
) -> None:
    context = without_motion(browser, size=size, scheme=scheme)
    page = context.new_page()
    page.goto(f"{stack.url}/accounts/login/")
    found = violations(page)
    sign_in(page, stack.url, stack.demo.username, stack.demo.password)
    paths = pages_to_see(page, stack.url)
    assert len(paths) >= 14, "The pages of results and runs are missing."
    for path in paths.values():
        page.goto(stack.url + path)
        found += violations(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{path} is {width} px wide."
    page.goto(stack.url)
    choose(page, payload("empty.txt", b""))
    expect(page.locator("#arriving .problem")).to_be_visible()
    found += violations(page)
    page.keyboard.press("?")
    page.locator("#shortcuts").wait_for()
    found += violations(page)
    context.close()
    assert found == []
