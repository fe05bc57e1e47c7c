"""Photograph every page of a running Strongroom, on a phone and a desk, in light and dark.

python -m tests.browser.screenshots URL USERNAME PASSWORD FOLDER [NAME...]
"""

import sys
from pathlib import Path

from tests.browser.browsing import DESK, PHONE, chromium, pages_to_see, sign_in, without_motion


def photograph(url: str, username: str, password: str, folder: Path, only: list[str]) -> None:
    """Write one PNG a page, size and scheme into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        state = None
        for width, size in (("390", PHONE), ("1280", DESK)):
            for scheme in ("light", "dark"):
                context = without_motion(browser, size=size, scheme=scheme)
                page = context.new_page()
                page.goto(f"{url}/accounts/login/")
                page.screenshot(path=folder / f"sign-in-{width}-{scheme}.png", full_page=True)
                if state is None:
                    sign_in(page, url, username, password)
                    state = context.storage_state()
                    paths = pages_to_see(page, url)
                else:
                    context.add_cookies(state["cookies"])  # type: ignore[arg-type]
                for name, path in paths.items():
                    if only and name not in only:
                        continue
                    page.goto(url + path)
                    page.wait_for_timeout(300)
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                context.close()


if __name__ == "__main__":
    url, username, password, folder, *only = sys.argv[1:]
    photograph(url, username, password, Path(folder), only)
