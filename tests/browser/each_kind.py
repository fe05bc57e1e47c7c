"""Hand in one corpus file of each media type through the page, and open each result.

    python -m tests.browser.each_kind URL USERNAME PASSWORD FOLDER

`FOLDER` gets a picture of every result page. Prints a line for each file, then how many ended
how, and what the browser complained of. Ends with an error if a file was lost, a page failed, or
the browser complained of anything but the refusals.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page

from tests.browser.browsing import DESK, chromium, sign_in, without_motion
from tests.processing.steps.corpus import manifest, unpack

PATIENCE_S = 60
AT_ONCE = 12


def one_of_each_kind(corpus: Path) -> dict[str, Path]:
    """Return a benign file for each media type of the manifest."""
    chosen: dict[str, Path] = {}
    for row in manifest(corpus):
        if row["class"] == "benign":
            chosen.setdefault(row["mime_expected"], corpus / row["file"])
    return chosen


def hand_in(page: Page, url: str, paths: list[Path]) -> dict[str, str]:
    """Hand the files in, and return the page of each accepted one, by name."""
    page.goto(url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload files").click()
    chooser.value.set_files(paths)
    names = {path.name for path in paths}
    deadline = time.monotonic() + PATIENCE_S
    found: dict[str, str] = {}
    while names - found.keys() and time.monotonic() < deadline:
        page.wait_for_timeout(250)
        for name in names - found.keys():
            row = page.locator(f'[data-row][data-subject="{name}"]')
            if row.count() and row.first.get_attribute("data-state") not in {"queued", "running"}:
                found[name] = row.first.locator("a").first.get_attribute("href") or ""
            elif page.locator('#arriving [data-arriving="refused"]', has_text=name).count():
                found[name] = ""
    return found


def look(url: str, username: str, password: str, pictures: Path, corpus: Path) -> int:
    """Return how many files or pages went wrong."""
    kinds = one_of_each_kind(unpack(corpus))
    pictures.mkdir(parents=True, exist_ok=True)
    complaints: Counter[str] = Counter()
    endings: Counter[str] = Counter()

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints[message.text[:160]] += 1

    with chromium() as browser:
        page = without_motion(browser, size=DESK, scheme="light").new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.update([str(error)[:160]]))
        sign_in(page, url, username, password)
        items = list(kinds.items())
        for start in range(0, len(items), AT_ONCE):
            some = items[start : start + AT_ONCE]
            found = hand_in(page, url, [path for _, path in some])
            for media_type, path in some:
                ending = _open(page, url, found.get(path.name), pictures / f"{path.name}.png")
                endings[ending] += 1
                print(f"{ending:<10} {media_type:<60} {path.name}")
    print(f"{len(kinds)} kinds: {dict(endings)}")
    for text, times in complaints.items():
        print(f"{times} x {text}")
    return endings["lost"] + endings["broken"]


def _open(page: Page, url: str, href: str | None, picture: Path) -> str:
    if not href:
        return "lost" if href is None else "refused"
    answer = page.goto(url + href)
    page.screenshot(path=picture, full_page=True)
    if answer is None or not answer.ok:
        return "broken"
    state = page.locator("[data-state]").first.get_attribute("data-state")
    return state or "broken"


if __name__ == "__main__":
    url, username, password, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="strongroom-corpus-") as temporary:
        sys.exit(look(url, username, password, Path(folder), Path(temporary)) > 0)
