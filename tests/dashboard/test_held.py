"""A file that is held: said with icon and word, nothing shown, taken only on purpose."""

from typing import Any

import pytest
from django.urls import reverse

from dashboard.findings import LABELS, SENTENCES, found
from processing.models import RunState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import Scene, checked, hand_in, lines_output, play
from uploads.models import Finding, Upload
from uploads.validation import ACTIONS

pytestmark = pytest.mark.usefixtures("pipelines")


@pytest.fixture
def upload(owner: Any) -> Upload:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    scene = Scene(lines_output(), [("lines.txt", "text/plain", b"SECRET LINE\n")])
    play(upload, {**checked(upload), "lines": scene}, state=RunState.SUCCEEDED)
    return upload


def hold(upload: Upload, verdict: str) -> None:
    Upload.objects.filter(pk=upload.pk).update(verdict=verdict, held=True)


def text_of(visit: Visit, user: Any, name: str, *args: Any) -> str:
    answer = visit(user).get(reverse(name, args=args))
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(
    ("verdict", "word", "icon"),
    [("quarantined", "In quarantine", "octagon-x"), ("not_checked", "Not checked", "triangle")],
)
def test_its_page_says_why_and_shows_nothing_of_it(visit, owner, upload, verdict, word, icon):
    Finding.objects.create(upload=upload, code="malware", action="quarantine", source="antivirus")
    direct = reverse("api-upload-content", args=[upload.pk])
    shown = text_of(visit, owner, "upload", upload.pk)
    assert f'href="{direct}"' in shown
    assert 'id="result-lines"' in shown
    hold(upload, verdict)
    shown = text_of(visit, owner, "upload", upload.pk)
    assert word in shown
    assert icon in shown
    assert SENTENCES["malware"] in shown
    assert f'href="{direct}"' not in shown
    assert reverse("upload-fetch", args=[upload.pk]) in shown
    assert 'id="result-lines"' not in shown
    assert "/api/v1/artifacts/" not in shown
    assert word in text_of(visit, owner, "home")


def test_the_page_of_its_run_shows_no_output_and_no_artifact(visit, owner, upload):
    assert "/api/v1/artifacts/" in text_of(visit, owner, "run", upload.run_id)
    hold(upload, "quarantined")
    shown = text_of(visit, owner, "run", upload.run_id)
    assert "/api/v1/artifacts/" not in shown
    assert "Output of" not in shown


def test_the_owner_is_asked_before_it_is_downloaded(visit, owner, stranger, upload):
    hold(upload, "quarantined")
    url = reverse("upload-fetch", args=[upload.pk])
    content = reverse("api-upload-content", args=[upload.pk])
    assert f"{content}?accept_risk=true" in text_of(visit, owner, "upload-fetch", upload.pk)
    assert visit(stranger).get(url).status_code == 404
    assert visit(None).get(url).status_code == 302
    assert visit(owner).post(url).status_code == 405
    assert visit(owner).get(content).status_code == 403
    assert visit(owner).get(f"{content}?accept_risk=true").status_code == 200


def test_what_was_only_noticed_is_said_and_everything_is_shown(visit, owner, upload):
    Finding.objects.create(upload=upload, code="polyglot", action="flag", source="intake")
    shown = text_of(visit, owner, "upload", upload.pk)
    assert SENTENCES["polyglot"] in shown
    assert 'id="result-lines"' in shown
    assert 'id="held"' not in shown


def test_every_finding_has_its_sentence():
    assert set(SENTENCES) == set(LABELS) == {*ACTIONS, "personal_data"}


def test_what_two_checks_find_is_said_once_and_holds_if_either_does():
    rows = [
        Finding(code="container_damaged", action="flag", source="intake"),
        Finding(code="macro", action="flag", source="intake"),
        Finding(code="container_damaged", action="quarantine", source="archive_limits"),
    ]
    assert [(one.code, one.holds) for one in found(rows)] == [
        ("container_damaged", True),
        ("macro", False),
    ]


def test_a_disguise_says_what_the_file_is(visit, owner):
    upload = hand_in(owner, "letter.pdf", b"only words\n")
    shown = text_of(visit, owner, "upload", upload.pk)
    assert f"This is plain text, not a PDF. {SENTENCES['type_mismatch']}" in shown
