"""The documents: what they point at exists, and they speak of the project alone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"manage\.py ([a-z_]+)")
VARIABLE = re.compile(r'"STRONGROOM_[A-Z0-9_]+"')
OPERATIONS = ROOT / "docs" / "operations.md"
ROOMS = ("config", "uploads", "processing", "dashboard")
OURS = {
    path.stem for room in ROOMS for path in (ROOT / room / "management" / "commands").glob("*.py")
}
DJANGOS = {"migrate", "check", "shell", "createsuperuser", "changepassword", "collectstatic"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_reached_from_another():
    pages = set((ROOT / "docs").glob("*.md"))
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in LINK.findall(page.read_text())
        if "://" not in target and (page.parent / target).resolve() != page
    }
    assert not pages - linked


def test_the_index_of_decisions_has_each_under_its_title():
    folder = ROOT / "docs" / "decisions"
    titles = {path.name: path.read_text().splitlines()[0] for path in sorted(folder.glob("0*.md"))}
    listed = [line for line in (folder / "README.md").read_text().splitlines() if "](" in line]
    assert listed == [f"- [{title.removeprefix('# ')}]({name})" for name, title in titles.items()]
    numbers = [int(name[:4]) for name in titles]
    assert [title.split(".")[0] for title in titles.values()] == [f"# {n}" for n in numbers]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists(page):
    named = set(COMMAND.findall(page.read_text()))
    assert named <= OURS | DJANGOS, named - OURS - DJANGOS


def test_every_command_of_ours_is_among_those_of_operations():
    named = set(re.findall(r"`(?:manage\.py )?([a-z_]+)\b", OPERATIONS.read_text()))
    assert OURS - {"__init__"} <= named, OURS - named


def test_every_variable_that_is_read_is_documented():
    code = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    read = {name for path in code for name in VARIABLE.findall(path.read_text())}
    said = " ".join(page.read_text() for page in PAGES)
    unsaid = {name for name in read if name.strip('"') not in said}
    assert len(read) > 40
    assert not unsaid


def test_the_readme_is_short_and_begins_with_the_two_commands():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert [line.split("#")[0].strip() for line in lines[3:5]] == ["make up", "make test"]
