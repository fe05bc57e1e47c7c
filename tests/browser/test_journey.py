"""What people do, from the sign-in to the results, in a real browser on a real system."""

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import FilePayload, Page, Route, expect

from tests.browser import papers
from tests.browser.conftest import Stack

SLOW_MS = 30_000  # for a machine with much else to do


def payload(name: str, content: bytes, media_type: str = "") -> FilePayload:
    return {"name": name, "mimeType": media_type, "buffer": content}


def choose(page: Page, *files: FilePayload) -> None:
    """Hand in files through the file chooser."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload files").click()
    chooser.value.set_files(list(files))


def row(page: Page, name: str) -> Any:
    return page.locator(f'[data-row][data-subject="{name}"]').first


def mark(page: Page) -> None:
    """Leave a mark that a reload would wipe out."""
    page.evaluate("window.untouched = true")


def is_untouched(page: Page) -> bool:
    return bool(page.evaluate("window.untouched === true"))


def test_files_are_handed_in_followed_opened_and_run_again(
    stack: Stack, demo: Page, tmp_path: Path
) -> None:
    files = papers.files()
    mark(demo)
    choose(demo, *(payload(name, content) for name, content in files.items()))
    for name in files:
        expect(row(demo, name)).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    expect(demo.locator("#arriving li")).to_have_count(0)
    assert is_untouched(demo)

    expected = {
        "server.log": ["Lines by route", "errors", "Tally report"],
        "harbours.csv": ["people", "10000", "founded"],
        "report.pdf": ["The harbour report"],
        "harbour at dawn.png": ["800", "500"],
    }
    for name, content in files.items():
        demo.goto(stack.url)
        demo.get_by_role("link", name=name, exact=True).first.click()
        expect(demo.get_by_role("heading", level=1)).to_have_text(name)
        expect(demo.locator("#sha256")).to_have_text(hashlib.sha256(content).hexdigest())
        for text in expected[name]:
            expect(demo.locator("#results")).to_contain_text(text)
        with demo.expect_download() as download:
            demo.get_by_role("link", name="Download", exact=True).first.click()
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).read_bytes() == content
    assert demo.locator(".plate img").evaluate("image => image.naturalWidth") > 0

    demo.get_by_role("button", name="Run again").click()
    demo.get_by_label("Pipeline").select_option(label="Any file")
    demo.get_by_role("button", name="Run", exact=True).click()
    demo.wait_for_url(re.compile(r"/runs/"))
    head = demo.locator("#run-head [data-state]")
    expect(head).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    expect(demo.locator(".waterfall tbody tr")).to_have_count(3)


def test_an_artifact_is_what_the_step_wrote(demo: Page) -> None:
    choose(demo, payload("pages.pdf", papers.document("A line of its own")))
    expect(row(demo, "pages.pdf")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    demo.get_by_role("link", name="pages.pdf").first.click()
    with demo.expect_download() as download:
        demo.get_by_role("link", name="Download text.txt").click()
    assert "A line of its own" in Path(download.value.path()).read_text()


def test_a_broken_file_fails_with_its_reason_and_the_next_one_is_done(demo: Page) -> None:
    choose(
        demo,
        payload("broken.png", papers.picture()[:200]),
        payload("whole.png", papers.picture()),
    )
    expect(row(demo, "broken.png")).to_have_attribute("data-state", "failed", timeout=SLOW_MS)
    expect(row(demo, "broken.png")).to_contain_text("The image is damaged")
    expect(row(demo, "whole.png")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    demo.get_by_role("link", name="broken.png").first.click()
    expect(demo.locator("#results .notice")).to_contain_text("image_unreadable")


def test_a_refused_file_says_why_and_can_be_removed(demo: Page) -> None:
    choose(demo, payload("empty.txt", b""))
    problem = demo.locator("#arriving .problem")
    expect(problem).to_have_text("The file has no content. empty_file")
    expect(demo.locator("#announcer")).to_have_text("empty.txt: The file has no content.")
    demo.get_by_role("button", name="Remove empty.txt").click()
    expect(demo.locator("#arriving li")).to_have_count(0)


GIVE = """([kind, name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "text/plain" }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector("h2").dispatchEvent(event);
}"""


def test_files_can_be_dropped_anywhere_and_pasted(demo: Page) -> None:
    for kind in ("drop", "paste"):
        demo.evaluate(GIVE, [kind, f"{kind}.txt", f"by {kind}\n"])
        expect(row(demo, f"{kind}.txt")).to_have_attribute(
            "data-state", "succeeded", timeout=SLOW_MS
        )


def test_a_whole_folder_is_handed_in(demo: Page, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.txt").write_text("one\n")
    (folder / "inner" / "two.txt").write_text("two\n")
    demo.locator("#pick-folder").set_input_files(folder)
    for name in ("one.txt", "two.txt"):
        expect(row(demo, name)).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)


def answer_late(route: Route) -> None:
    response = route.fetch(max_redirects=0)
    time.sleep(1)
    route.fulfill(response=response)


def test_a_deleted_file_leaves_the_inbox(demo: Page) -> None:
    choose(demo, payload("gone.txt", b"soon gone\n"))
    expect(row(demo, "gone.txt")).to_have_attribute("data-state", "succeeded", timeout=SLOW_MS)
    expect(demo.locator("#arriving li")).to_have_count(0)
    demo.get_by_role("link", name="gone.txt").first.click()
    demo.get_by_role("link", name="Delete").click()
    demo.route("**/delete/", answer_late)  # so that the page hears of it first
    demo.get_by_role("button", name="Delete for good").click()
    expect(demo.get_by_text("The file and everything made of it are deleted.")).to_be_visible()
    expect(demo.get_by_text("gone.txt")).to_have_count(0)
