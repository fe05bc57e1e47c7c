"""Uploads in the page: they go on after a reload, a cut and a pause, and a refusal says why."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.browsing import sign_in
from tests.browser.conftest import Stack
from tests.browser.test_accessibility import violations
from tests.browser.test_journey import SLOW_MS, choose, mark, payload, row
from tests.line import Line

SESSIONS = "**/api/v1/tus/**"
KIB = 1024
LINE = b"a line of forty characters, and no more\n"
LONG = LINE * (1024 * KIB // len(LINE) + 1)
SLOWLY = 256 * KIB  # bytes a second


@contextmanager
def slow_line(page: Page) -> Iterator[None]:
    """Let bytes leave slowly, so that there is a middle."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": 5, "downloadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": SLOWLY})
    yield
    session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1})


@pytest.fixture
def line(stack: Stack) -> Iterator[Line]:
    line = Line(int(stack.url.rpartition(":")[2]))
    yield line
    line.close()


def arriving(page: Page, name: str) -> Any:
    return page.locator("#arriving li", has_text=name)


def offsets(page: Page) -> list[int]:
    """Return a list that gets the offset of every PATCH from now on."""
    found: list[int] = []

    def hear(request: Request) -> None:
        if request.method == "PATCH":
            found.append(int(request.headers["upload-offset"]))

    page.on("request", hear)
    return found


def in_the_middle(page: Page, name: str) -> None:
    status = arriving(page, name).locator("[data-part=status]")
    expect(status).to_have_text(re.compile(r"[1-9][\d.]* KiB of 1 MiB"), timeout=SLOW_MS)


def succeeds(page: Page, name: str) -> None:
    expect(row(page, name)).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    expect(arriving(page, name)).to_have_count(0)


def digest_is_that_of(page: Page, stack: Stack, name: str, content: bytes) -> None:
    page.goto(stack.url)
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.locator("#sha256")).to_have_text(hashlib.sha256(content).hexdigest())


def test_a_reload_in_the_middle_goes_on_where_it_stopped(stack: Stack, demo: Page) -> None:
    with slow_line(demo):
        choose(demo, payload("reloaded.txt", LONG))
        in_the_middle(demo, "reloaded.txt")
        demo.wait_for_timeout(1000)  # so that what is kept of it has been written
        sent = offsets(demo)
        demo.reload()
        expect(arriving(demo, "reloaded.txt")).to_have_count(1)
        succeeds(demo, "reloaded.txt")
    assert sent[-1] > 0
    digest_is_that_of(demo, stack, "reloaded.txt", LONG)


def test_a_lost_network_is_said_and_the_upload_goes_on_by_itself(
    stack: Stack, page: Page, line: Line
) -> None:
    url = f"http://localhost:{line.port}"
    sign_in(page, url, stack.demo.username, stack.demo.password)
    sent = offsets(page)
    with slow_line(page):
        choose(page, payload("cut.txt", LONG))
        in_the_middle(page, "cut.txt")
        page.evaluate("window.dispatchEvent(new Event('offline'))")
        with line.down():
            expect(page.locator("#announcer")).to_have_text("No network. Uploads wait for it.")
            page.wait_for_timeout(500)
        page.evaluate("window.dispatchEvent(new Event('online'))")
        succeeds(page, "cut.txt")
    assert line.cuts == 1
    assert sent[0] == 0
    assert sent[-1] > 0
    digest_is_that_of(page, stack, "cut.txt", LONG)


def test_an_upload_pauses_and_resumes(stack: Stack, demo: Page) -> None:
    sent = offsets(demo)
    with slow_line(demo):
        choose(demo, payload("paused.txt", LONG))
        in_the_middle(demo, "paused.txt")
        demo.get_by_role("button", name="Pause paused.txt").click()
        expect(arriving(demo, "paused.txt")).to_contain_text("Paused at")
        resume = demo.get_by_role("button", name="Resume paused.txt")
        expect(resume).to_be_focused()
        count = len(sent)
        resume.press("Enter")
        succeeds(demo, "paused.txt")
    assert len(sent) > count
    assert sent[-1] > 0
    digest_is_that_of(demo, stack, "paused.txt", LONG)


def test_a_paused_upload_is_still_paused_after_a_reload(demo: Page) -> None:
    with slow_line(demo):
        choose(demo, payload("resting.txt", LONG))
        in_the_middle(demo, "resting.txt")
        demo.get_by_role("button", name="Pause resting.txt").click()
        demo.wait_for_timeout(1000)
        demo.reload()
        expect(arriving(demo, "resting.txt")).to_contain_text("Paused at")
        demo.get_by_role("button", name="Resume resting.txt").click()
    succeeds(demo, "resting.txt")


def test_a_large_file_asks_to_be_chosen_again_after_a_reload(demo: Page) -> None:
    large = b"\0" + LINE * (11 * 1024 * KIB // len(LINE) + 1)  # no text: little to do
    demo.on("dialog", lambda dialog: dialog.accept())
    sent = offsets(demo)
    with slow_line(demo):
        choose(demo, payload("large.bin", large))
        status = arriving(demo, "large.bin").locator("[data-part=status]")
        expect(status).to_have_text(re.compile(r"[1-9][\d.]* KiB of 11 MiB"), timeout=SLOW_MS)
        demo.wait_for_timeout(1000)
        demo.reload()
        expect(arriving(demo, "large.bin")).to_contain_text("Choose this file again to go on.")
        assert violations(demo) == []
        stamp = demo.evaluate(LAST_MODIFIED)
    assert sent.pop(0) == 0
    demo.evaluate(GIVE_AGAIN, ["large.bin", large.decode(), stamp])
    succeeds(demo, "large.bin")
    assert sent[-1] > 0


LAST_MODIFIED = """() => {
  const key = Object.keys(localStorage).find((key) => key.includes("large"));
  return Number(key.split("-").filter((part) => /^[0-9]{13}$/.test(part)).at(-1));
}"""
GIVE_AGAIN = """([name, text, lastModified]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { lastModified }));
  document.querySelector("h2").dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def test_a_server_that_cannot_be_reached_is_said_and_the_retry_gets_through(demo: Page) -> None:
    demo.clock.install()
    demo.route(SESSIONS, lambda route: route.abort())
    choose(demo, payload("again.txt", b"once more\n"))
    lost = arriving(demo, "again.txt").get_by_text("The server cannot be reached")
    for _ in range(100):  # through all the tries of its own
        if lost.count():
            break
        demo.clock.run_for(31_000)
        demo.wait_for_timeout(50)
    expect(lost).to_be_visible()
    demo.unroute(SESSIONS)
    demo.get_by_role("button", name="Retry again.txt").click()
    demo.clock.resume()
    succeeds(demo, "again.txt")


def test_an_upload_on_its_way_can_be_stopped_and_gives_its_room_back(demo: Page) -> None:
    with slow_line(demo):
        choose(demo, payload("stopped.txt", LONG))
        in_the_middle(demo, "stopped.txt")
        with demo.expect_response(lambda answer: answer.request.method == "DELETE") as answer:
            demo.get_by_role("button", name="Remove stopped.txt").click()
        assert answer.value.status == 204
    expect(arriving(demo, "stopped.txt")).to_have_count(0)
    demo.wait_for_timeout(1000)
    demo.reload()
    expect(demo.get_by_text("stopped.txt")).to_have_count(0)


def test_after_the_last_byte_the_row_says_that_it_is_checked(stack: Stack, demo: Page) -> None:
    demo.route(f"{stack.url}/", lambda _: None)  # the list is not fetched again, so the row stays
    choose(demo, payload("checked.txt", b"all there\n"))
    expect(arriving(demo, "checked.txt")).to_contain_text("Checking…", timeout=SLOW_MS)
    bar = arriving(demo, "checked.txt").locator("progress")
    assert bar.evaluate("bar => bar.position") == -1, "it does not know how long"


def test_many_files_are_summed_up_paused_and_resumed_together(demo: Page) -> None:
    names = [f"part {number}.txt" for number in range(5)]
    with slow_line(demo):
        choose(demo, *(payload(name, LONG[: 300 * KIB] + name.encode()) for name in names))
        together = demo.locator("#arriving-all")
        expect(together).to_contain_text("of 5 files")
        together.get_by_role("button", name="Pause all").click()
        for name in names:
            expect(arriving(demo, name)).to_contain_text("Paused")
        assert violations(demo) == []
        together.get_by_role("button", name="Resume all").click()
    for name in names:
        succeeds(demo, name)
    expect(together).to_be_hidden()


def test_the_speed_and_the_time_left_are_said(demo: Page) -> None:
    with slow_line(demo):
        choose(demo, payload("timed.txt", LONG))
        status = arriving(demo, "timed.txt").locator("[data-part=status]")
        expect(status).to_have_text(
            re.compile(r"KiB of 1 MiB, [\d.]+ [KM]iB/s, \d+ s left"), timeout=SLOW_MS
        )
        demo.get_by_role("button", name="Remove timed.txt").click()


def test_what_is_accepted_is_said_before_a_file_is_chosen(demo: Page) -> None:
    limits = demo.locator("#limits")
    expect(limits).to_contain_text("A file may have 16 GiB")
    expect(limits).to_contain_text(re.compile(r"room for [\d.]+ GiB in [\d,]+ more files"))
    demo.get_by_text("Types that are not accepted").click()
    expect(demo.locator("#accepted-types")).to_contain_text("application/x-mach-binary")
    assert violations(demo) == []


def test_a_file_that_is_too_large_is_refused_before_it_is_sent_with_the_numbers(
    stack: Stack, demo: Page
) -> None:
    sent: list[str] = []
    demo.on("request", lambda request: sent.append(request.url))
    # The server says what fits, and the page follows it: a number set in the page alone would
    # last only until the next live update.
    said = {"max-bytes": 1024}
    demo.route(f"{stack.url}/", lambda route: _answer_saying(said, route))
    demo.reload()
    choose(demo, payload("big.txt", LONG[: 2 * KIB]))
    problem = arriving(demo, "big.txt").locator(".problem")
    expect(problem).to_contain_text("This one has 2 KiB; a file may have 1 KiB. upload_too_large")
    said |= {"max-bytes": 2048, "left-bytes": 9}
    demo.evaluate("document.dispatchEvent(new CustomEvent('strongroom:stale'))")
    expect(demo.locator("#limits")).to_have_attribute("data-left-bytes", "9")
    choose(demo, payload("much.txt", LONG[:10]))
    problem = arriving(demo, "much.txt").locator(".problem")
    expect(problem).to_contain_text("This one has 10 B; you have room for 9 B. quota_exceeded")
    expect(demo.get_by_role("button", name="Retry big.txt")).to_be_hidden()
    expect(demo.get_by_role("button", name="Retry much.txt")).to_be_visible()
    assert not any("/tus/" in url for url in sent)


def _answer_saying(limits: dict[str, int], route: Route) -> None:
    """Let the server answer, with other numbers in what it says of limits."""
    answer = route.fetch()
    text = answer.text()
    for name, number in limits.items():
        text = re.sub(rf'data-{name}="\d+"', f'data-{name}="{number}"', text)
    route.fulfill(response=answer, body=text)


def test_a_forbidden_type_is_refused_by_the_server_and_the_others_go_on(demo: Page) -> None:
    program = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00\x01\x00\x00\x00" + bytes(200)
    mark(demo)
    choose(demo, payload("tool.pdf", program), payload("beside.txt", b"beside\n"))
    problem = arriving(demo, "tool.pdf").locator(".problem")
    expect(problem).to_have_text(
        "This is a Linux program, not a PDF. Files of this type are not accepted. "
        "media_type_denied",
        timeout=SLOW_MS,
    )
    expect(demo.get_by_role("button", name="Retry tool.pdf")).to_be_hidden()
    succeeds(demo, "beside.txt")
    assert violations(demo) == []
    demo.get_by_role("button", name="Remove tool.pdf").click()
    expect(arriving(demo, "tool.pdf")).to_have_count(0)


def test_signing_out_leaves_nothing_of_it_in_the_browser(stack: Stack, demo: Page) -> None:
    with slow_line(demo):
        choose(demo, payload("private.txt", LONG))
        in_the_middle(demo, "private.txt")
        demo.wait_for_timeout(1000)
        demo.goto(f"{stack.url}/account/")
        demo.get_by_role("button", name="Sign out").click()
        demo.wait_for_url("**/accounts/login/**")
    assert demo.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tus'))") == []
    assert demo.evaluate("indexedDB.databases().then((all) => all.length)") == 0
    sign_in(demo, stack.url, stack.demo.username, stack.demo.password)
    expect(arriving(demo, "private.txt")).to_have_count(0)


def test_a_second_window_does_not_take_up_what_the_first_one_sends(
    stack: Stack, demo: Page
) -> None:
    with slow_line(demo):
        choose(demo, payload("once.txt", LONG))
        in_the_middle(demo, "once.txt")
        demo.wait_for_timeout(1000)
        second = demo.context.new_page()
        second.goto(stack.url)
        expect(second.locator("#inbox")).to_be_visible()
        second.wait_for_timeout(500)
        expect(second.locator("#arriving li")).to_have_count(0)
        second.close()
    succeeds(demo, "once.txt")
