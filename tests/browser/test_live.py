"""Pages stay true while they are open, and do not get in the way."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import sign_in
from tests.browser.conftest import Stack
from tests.browser.test_journey import SLOW_MS, choose, is_untouched, mark, payload, row


def hand_in_elsewhere(page: Page, stack: Stack, name: str) -> None:
    """Hand a file in by the API, with the session of the page, as another window would."""
    token = page.locator("#intake").get_attribute("data-csrf") or ""
    answer = page.context.request.post(
        f"{stack.url}/api/v1/uploads/",
        headers={"X-CSRFToken": token, "Referer": f"{stack.url}/", "Origin": stack.url},
        multipart={"file": {"name": name, "mimeType": "text/plain", "buffer": b"elsewhere\n"}},
    )
    assert answer.status == 201, answer.text()


def test_news_from_elsewhere_appears_and_focus_stays(stack: Stack, demo: Page) -> None:
    choose(demo, payload("anchor.txt", b"an anchor\n"))
    expect(row(demo, "anchor.txt")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    expect(demo.locator("[data-live-word]")).to_have_text("Live")
    demo.get_by_role("link", name="anchor.txt").first.focus()
    mark(demo)
    hand_in_elsewhere(demo, stack, "news.txt")
    expect(row(demo, "news.txt")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    assert is_untouched(demo)
    assert demo.evaluate("document.activeElement.textContent") == "anchor.txt"


def test_without_events_the_page_asks_every_few_seconds(stack: Stack, demo: Page) -> None:
    demo.route("**/api/v1/events/", lambda route: route.abort())
    demo.reload()
    expect(demo.locator("[data-live-word]")).to_have_text("Reconnecting")
    hand_in_elsewhere(demo, stack, "polled.txt")
    expect(row(demo, "polled.txt")).to_be_visible(timeout=12_000)


def test_a_paused_page_waits_and_catches_up(stack: Stack, demo: Page) -> None:
    expect(demo.locator("[data-live-word]")).to_have_text("Live")
    demo.keyboard.press(".")
    expect(demo.locator("[data-live-word]")).to_have_text("Paused")
    hand_in_elsewhere(demo, stack, "later.txt")
    demo.wait_for_timeout(1500)
    expect(row(demo, "later.txt")).to_have_count(0)
    demo.keyboard.press(".")
    expect(row(demo, "later.txt")).to_be_visible()


def test_what_somebody_has_opened_stays_open(stack: Stack, demo: Page) -> None:
    choose(demo, payload("folds.txt", b"some\nlines\n"))
    expect(row(demo, "folds.txt")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    demo.get_by_role("link", name="folds.txt").first.click()
    fold = demo.locator("#processors")
    fold.locator("summary").click()
    demo.evaluate("document.dispatchEvent(new CustomEvent('strongroom:stale'))")
    demo.wait_for_timeout(1000)
    expect(fold).to_have_attribute("open", "")


def test_what_somebody_types_and_chooses_stays_while_the_page_changes(
    stack: Stack, demo: Page
) -> None:
    choose(demo, payload("typed.txt", b"first\n"))
    expect(row(demo, "typed.txt")).to_be_visible(timeout=SLOW_MS)
    demo.get_by_label("Kind").select_option("text")
    demo.keyboard.press("/")
    demo.keyboard.type("harb")
    hand_in_elsewhere(demo, stack, "meanwhile.txt")
    expect(row(demo, "meanwhile.txt")).to_be_visible(timeout=SLOW_MS)
    search = demo.get_by_label("Words in files and names")
    expect(search).to_be_focused()
    expect(search).to_have_value("harb")
    expect(demo.get_by_label("Kind")).to_have_value("text")
    search.press("Enter")
    demo.wait_for_url("**/?search=harb&kind=text&finding=")
    expect(demo.get_by_label("Kind")).to_have_value("text")


def test_the_keyboard_walks_the_rows_and_rests_while_somebody_types(demo: Page) -> None:
    for name in ("first.txt", "second.txt"):
        choose(demo, payload(name, b"row\n"))
        expect(row(demo, name)).to_be_visible(timeout=SLOW_MS)
    demo.keyboard.press("j")
    top = demo.evaluate("document.activeElement.textContent")
    demo.keyboard.press("j")
    assert demo.evaluate("document.activeElement.textContent") != top
    demo.keyboard.press("k")
    assert demo.evaluate("document.activeElement.textContent") == top
    demo.keyboard.press("?")
    expect(demo.locator("#shortcuts")).to_be_visible()
    demo.get_by_label("Switch single-key shortcuts off").check()
    demo.get_by_role("button", name="Close").click()
    demo.keyboard.press("?")
    expect(demo.locator("#shortcuts")).to_be_hidden()


def test_the_chosen_colours_are_there_from_the_first_byte(stack: Stack, demo: Page) -> None:
    demo.goto(f"{stack.url}/account/")
    for theme, label in (("dark", "Dark"), ("system", "As the device")):
        demo.get_by_role("button", name=label).click()
        expect(demo.get_by_role("button", name=label)).to_have_attribute("aria-pressed", "true")
        answer = demo.request.get(f"{stack.url}/")
        assert f'data-theme="{theme}"' in answer.text()


def test_moments_are_those_of_the_device_for_who_wants_that(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata")
    page = context.new_page()
    sign_in(page, stack.url, stack.demo.username, stack.demo.password)
    looked_at = page.locator("#status .panel-head time")
    for clock, ending in (("Local time", "UTC+05:30"), ("UTC", "UTC")):
        page.goto(f"{stack.url}/account/")
        chosen = page.get_by_role("button", name=clock, exact=True)
        chosen.click()
        expect(chosen).to_have_attribute("aria-pressed", "true", timeout=SLOW_MS)
        page.goto(f"{stack.url}/status/")
        first = looked_at.inner_text()
        assert first.endswith(ending)
        expect(looked_at).not_to_have_text(first, timeout=SLOW_MS)  # the page looked again
        assert looked_at.inner_text().endswith(ending)
    context.close()
