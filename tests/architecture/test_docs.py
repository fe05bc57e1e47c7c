"""The documents: what they point at exists, and they speak of the project alone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"manage\.py ([a-z_]+)")
OURS = {
    path.stem
    for room in ("config", "uploads", "processing")
    for path in (ROOT / room / "management" / "commands").glob("*.py")
}
DJANGOS = {"migrate", "check", "shell", "createsuperuser", "changepassword", "collectstatic"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists(page):
    named = set(COMMAND.findall(page.read_text()))
    assert named <= OURS | DJANGOS, named - OURS - DJANGOS


def test_the_readme_is_short_and_begins_with_the_two_commands():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert [line.split("#")[0].strip() for line in lines[3:5]] == ["make up", "make test"]
