"""What is built is what is committed, and the pages need nothing that the policy forbids."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

import dashboard
from config.problems import NotFound
from dashboard.templatetags import strongroom
from processing.models import RunState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import checked, hand_in, play

ROOM = Path(dashboard.__file__).parent
FRONTEND = ROOM / "frontend"
DIST = ROOM / "static" / "dashboard" / "dist"
TEMPLATES = sorted((ROOM / "templates").rglob("*.html"))

FORBIDDEN = (
    ("a style attribute", re.compile(r"\sstyle\s*=", re.IGNORECASE)),
    ("a style element", re.compile(r"<style", re.IGNORECASE)),
    ("an event attribute", re.compile(r"\son[a-z]+\s*=", re.IGNORECASE)),
    ("an inline script", re.compile(r"<script(?![^>]*(?:src=|application/json))", re.IGNORECASE)),
    ("another origin", re.compile(r"(?:src|href)=[\"']?(?:https?:)?//", re.IGNORECASE)),
)


def test_the_bundle_is_built_from_the_sources_as_they_are() -> None:
    names = ["build.mjs", "icons.json", "icons.svg", "package.json", "package-lock.json"]
    for folder in ("scripts", "styles"):
        names += [f"{folder}/{path.name}" for path in (FRONTEND / folder).iterdir()]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (FRONTEND / name).read_bytes() + b"\0")
    assert (DIST / "SOURCES").read_text().strip() == digest.hexdigest(), (
        "Rebuild with `npm --prefix dashboard/frontend run build`."
    )


def test_the_lock_file_names_no_download() -> None:
    assert '"resolved"' not in (FRONTEND / "package-lock.json").read_text()


def test_every_icon_that_is_used_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (DIST / "icons.svg").read_text()))
    used = {name for _, name, _ in strongroom.STATES.values()}
    used |= {name for _, name in strongroom.TYPE_ICONS}
    for template in TEMPLATES:
        used |= set(re.findall(r'{% icon "([^"]+)"', template.read_text()))
    assert used - sprite == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize(("what", "pattern"), FORBIDDEN, ids=[what for what, _ in FORBIDDEN])
def test_no_template_needs_what_the_policy_forbids(
    template: Path, what: str, pattern: re.Pattern[str]
) -> None:
    assert not pattern.search(template.read_text()), f"{template.name} has {what}."


@pytest.mark.usefixtures("pipelines")
@pytest.mark.parametrize(
    "name",
    [
        "home",
        "runs",
        "stats",
        "status",
        "account",
        "account_change_password",
        "mfa_index",
        "mfa_generate_recovery_codes",
    ],
)
def test_every_page_has_a_language_a_title_one_heading_and_a_skip_link(
    visit: Visit, owner: Any, name: str
) -> None:
    upload = hand_in(owner, "report.txt", b"some text\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    client = visit(owner)
    text = client.get(reverse(name), follow=True).content.decode()
    assert '<html lang="en"' in text
    assert re.search(r"<title>[^<·]+· Strongroom</title>", text)
    assert len(re.findall(r"<h1\b", text)) == 1


@pytest.mark.parametrize("theme", ["system", "light", "dark"])
def test_the_server_sets_the_colours_that_the_user_chose(
    visit: Visit, owner: Any, theme: str
) -> None:
    client = visit(owner)
    client.post(reverse("account-theme"), {"theme": theme})
    assert f'<html lang="en" data-theme="{theme}">' in client.get("/account/").content.decode()


@pytest.mark.parametrize("clock", ["utc", "local"])
def test_the_server_says_by_which_clock_the_user_reads(
    visit: Visit, owner: Any, stranger: Any, clock: str
) -> None:
    client = visit(owner)
    client.post(reverse("account-clock"), {"clock": clock})
    text = client.get(reverse("status")).content.decode()
    assert f'data-clock="{clock}"' in text
    assert re.search(r'<time datetime="[^"]+" data-moment>[-0-9]+ [:0-9]+ UTC</time>', text)
    assert 'data-clock="utc"' in visit(stranger).get(reverse("status")).content.decode()


def test_a_clock_that_does_not_exist_changes_nothing(visit: Visit, owner: Any) -> None:
    visit(owner).post(reverse("account-clock"), {"clock": "sundial"})
    owner.refresh_from_db()
    assert owner.clock == "utc"


def test_colours_that_do_not_exist_change_nothing(visit: Visit, owner: Any) -> None:
    visit(owner).post(reverse("account-theme"), {"theme": "plaid"})
    owner.refresh_from_db()
    assert owner.theme == "system"


def test_the_error_page_stands_alone() -> None:
    page = render_to_string("error.html", {"error": NotFound(), "request_id": "r-1"})
    assert NotFound.detail in page
    assert "r-1" in page
    assert NotFound.code in page


def test_sign_in_offers_a_passkey_and_no_sign_up(visit: Visit) -> None:
    text = visit(None).get(reverse("account_login")).content.decode()
    assert "Sign in with a passkey" in text
    assert "signup" not in text


def test_the_page_of_live_updates_says_what_concerns_it(visit: Visit, owner: Any) -> None:
    text = visit(owner).get(reverse("home")).content.decode()
    assert 'data-scope="all"' in text
    assert f'data-events="{reverse("api-events")}"' in text


def test_a_page_hears_every_event_that_is_announced() -> None:
    announced = re.compile(r'\b(?:announce|news)\([^")]*"([a-z]+\.[a-z]+)"')
    modules = [m for room in ("uploads", "processing") for m in (ROOM.parent / room).rglob("*.py")]
    said = {name for module in modules for name in announced.findall(module.read_text())}
    script = (FRONTEND / "scripts" / "live.js").read_text()
    heard = set(re.findall(r'"([a-z]+\.[a-z]+)"', script[: script.index("];")]))
    assert {"upload.judged", "run.changed"} <= said
    assert said == heard


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Two-Factor Authentication", "Two-factor authentication"),
        ("\n  Trust this Browser?\n", "Trust this browser?"),
        ("Use a QR Code", "Use a QR code"),
        ("New Password (again)", "New password (again)"),
        ("Don&#x27;t <b>Trust</b>", "Don&#x27;t <b>Trust</b>"),
        ("", ""),
    ],
)
def test_headings_of_allauth_are_written_like_ours(text: str, written: str) -> None:
    assert strongroom.sentence_case(text) == written


IN_CAPITALS = re.compile(r"<(?:h1|h2|title|label|button)\b[^>]*>\s*[A-Z]\w+[ -][A-Z][a-z]+")


@pytest.mark.parametrize(
    "name",
    [
        "account_login", "account_signup", "account_reset_password",
        "account_reset_password_done", "account_inactive", "account_logout", "account_email",
        "account_change_password", "account_reauthenticate", "mfa_index",
    ],
)  # fmt: skip
def test_no_page_of_accounts_is_written_in_capitals(visit: Visit, owner: Any, name: str) -> None:
    is_entrance = name in {"account_login", "account_signup", "account_inactive"}
    client = visit(None if is_entrance else owner)
    answer = client.get(reverse(name), follow=True)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert not IN_CAPITALS.search(text)
    assert len(re.findall(r"<h1\b", text)) == 1
    assert 'class="brand"' in text


def test_nothing_is_promised_by_mail(visit: Visit, owner: Any) -> None:
    assert "sends no e-mail" in visit(owner).get(reverse("account_email")).content.decode()
    for name in ("account_reset_password", "account_reset_password_done"):
        text = visit(None).get(reverse(name)).content.decode()
        assert "Ask the administrator" in text
        assert 'type="email"' not in text


@pytest.mark.parametrize("theme", ["system", "dark"])
def test_the_page_of_the_api_leads_back_and_has_the_colours_of_its_reader(
    visit: Visit, owner: Any, theme: str
) -> None:
    owner.theme = theme
    owner.save()
    text = visit(owner).get(reverse("api-docs")).content.decode()
    assert f'data-theme="{theme}"' in text
    assert f'href="{reverse("home")}">Back to the inbox' in text
    assert "dist/docs.js" in text
    assert "<style" not in text
    assert 'data-theme="system"' in visit(None).get(reverse("api-docs")).content.decode()
