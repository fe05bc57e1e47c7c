"""A file that the drop folder does not take shows up on the open page of its owner."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack
from tests.browser.test_accessibility import violations
from tests.browser.test_journey import SLOW_MS, is_untouched, mark

PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00\x01\x00\x00\x00" + bytes(200)


def test_a_refused_file_is_told_without_a_reload_and_dismissed(stack: Stack, demo: Page) -> None:
    mark(demo)
    folder = stack.data_dir / "drop" / stack.demo.username
    (folder / "unprocessed" / "tool <b>bold<b>").write_bytes(PROGRAM)
    told = demo.locator("#inbox .reports")
    expect(told).to_contain_text("tool <b>bold<b>", timeout=SLOW_MS)
    expect(told).to_contain_text("media_type_denied")
    expect(told).to_contain_text("failed/ until")
    assert is_untouched(demo)
    assert violations(demo) == []
    demo.get_by_role("button", name="Dismiss the report of tool").click()
    demo.wait_for_url(stack.url + "/")
    expect(demo.locator("#inbox")).to_be_visible()
    expect(told).to_have_count(0)
