"""What is accepted from whom: which policy wins, and what a finding does to a file."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.uploads.test_inspection import GIF, PDF, PNG, PROGRAM, encrypted
from tests.uploads.test_media_types import MACRO_MAIN, WORD, office, packed
from uploads import checks, errors, retention
from uploads.intake import Offer, open_upload, receive_upload
from uploads.media_types import HEAD_BYTES
from uploads.models import Blob, Door, IntakePolicy, Upload
from uploads.policy import policy, policy_for
from uploads.quota import usage
from uploads.storage import store
from uploads.validation import ACTIONS, CHECKS, Action, mistakes_in
from uploads.verdicts import release

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


def receive(owner: Any, content: bytes, name: str = "a.txt", declared: str = "") -> Upload:
    offer = Offer(owner=owner, name=name, declared_type=declared, door=Door.API)
    return receive_upload(offer, io.BytesIO(content))


def everybody(**fields: Any) -> IntakePolicy:
    return IntakePolicy.objects.create(**fields)


def codes(upload: Upload) -> set[str]:
    return set(upload.findings.values_list("code", flat=True))


# --- Which policy wins -------------------------------------------------------------------------


def test_without_policies_the_settings_hold(owner):
    rules = policy_for(owner)
    assert rules == policy()
    assert rules.max_bytes == configured.UPLOADS["MAX_BYTES"]
    assert rules.hold_unchecked


def test_the_most_specific_wins_field_by_field(owner, stranger):
    everybody(max_bytes=1, allowed_types="text/*", quota_files=7, actions={"polyglot": "refuse"})
    early, late = (Group.objects.create(name=name) for name in ("b", "a"))
    IntakePolicy.objects.create(group=late, rank=20, max_bytes=2, retention_days=9)
    IntakePolicy.objects.create(group=early, rank=10, max_bytes=3, actions={"macro": "refuse"})
    owner.groups.set([early, late])
    IntakePolicy.objects.create(user=owner, required_checks="antivirus", not_checked="release")
    rules = policy_for(owner)
    assert rules.max_bytes == 3
    assert rules.retention_days == 9
    assert rules.allowed_types == ("text/*",)
    assert (rules.required_checks, rules.hold_unchecked) == (("antivirus",), False)
    assert rules.action_on("polyglot") is Action.REFUSE
    assert rules.action_on("macro") is Action.REFUSE
    assert rules.action_on("malware") is Action.QUARANTINE
    assert policy_for(stranger).max_bytes == 1
    assert usage(stranger).max_files == 7


def test_a_policy_costs_one_query(owner, django_assert_num_queries):
    owner.groups.add(Group.objects.create(name="g"))
    with django_assert_num_queries(1):
        policy_for(owner)


def test_there_is_one_policy_for_everybody_and_none_for_two_subjects(owner):
    everybody()
    with pytest.raises(IntegrityError), transaction.atomic():
        everybody()
    with pytest.raises(IntegrityError), transaction.atomic():
        IntakePolicy.objects.create(user=owner, group=Group.objects.create(name="g"))


def test_no_check_at_all_can_be_required_by_name(owner, settings):
    settings.UPLOADS = {**settings.UPLOADS, "REQUIRED_CHECKS": ["antivirus"]}
    assert policy_for(owner).checks_for("text/plain") == ("antivirus",)
    everybody(required_checks="none")
    assert policy_for(owner).checks_for("text/plain") == ()


# --- Mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"types": ["Image/PNG"]}, "allowed_types"),
        ({"types": ["image"]}, "allowed_types"),
        ({"checks": ["antivirus", "prayer"]}, "required_checks"),
        ({"checks": ["antivirus", "none"]}, "required_checks"),
        ({"actions": {"macro": "shout"}}, "actions"),
        ({"actions": {"magic": "flag"}}, "actions"),
        ({"actions": ["macro"]}, "actions"),
    ],
)
def test_mistakes_are_named(part, field):
    assert set(mistakes_in(**{"types": [], "checks": [], "actions": {}, **part})) == {field}


def test_what_is_sound_has_no_mistakes():
    actions = dict.fromkeys(ACTIONS, "flag")
    assert not mistakes_in(types=["*/*", "image/*"], checks=list(CHECKS), actions=actions)
    assert not mistakes_in(types=[], checks=["none"], actions={})


def test_the_admin_saves_no_policy_that_could_not_be_obeyed(client, administrator):
    client.force_login(administrator)
    url = reverse("admin:uploads_intakepolicy_add")
    form = {"rank": 100, "allowed_types": "text/*", "actions": '{"macro": "shout"}'}
    assert b"shout is not one of" in client.post(url, form).content
    assert not IntakePolicy.objects.exists()
    form["actions"] = '{"macro": "refuse"}'
    assert client.post(url, form).status_code == 302
    assert IntakePolicy.objects.get().actions == {"macro": "refuse"}


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"ALLOWED_TYPES": ["everything"]}, ["uploads.E004"]),
        ({"ACTIONS": {"macro": "shout"}}, ["uploads.E004"]),
        ({"NOT_CHECKED": "pray"}, ["uploads.E004"]),
        ({"REQUIRED_CHECKS": ["prayer"]}, ["uploads.E004"]),
        ({"REQUIRED_CHECKS": ["antivirus"]}, ["uploads.E005"]),
        ({"REQUIRED_CHECKS": ["antivirus"], "CLAMD": "unix:/x"}, []),
        ({"REQUIRED_CHECKS": ["yara"]}, ["uploads.E005"]),
    ],
)
def test_settings_that_could_not_be_obeyed_stop_the_start(settings, changes, ids):
    settings.UPLOADS = {**settings.UPLOADS, "CLAMD": "", "YARA_RULES": "", **changes}
    found = [*checks.check_policy(), *checks.check_scanners()]
    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)


def test_rows_that_could_not_be_obeyed_stop_the_start():
    assert checks.check_policies(databases=["default"]) == []
    checks.refuse_unfit_policies()
    row = everybody(required_checks="prayer")
    (message,) = checks.check_policies(databases=["default"])
    assert (message.id, bool(message.hint)) == ("uploads.E006", True)
    with pytest.raises(ImproperlyConfigured):
        checks.refuse_unfit_policies()
    with pytest.raises(ValidationError):
        row.full_clean()


# --- What a finding does -----------------------------------------------------------------------

MACROS = packed(office(MACRO_MAIN))
FOUND = [
    ("type_mismatch", PDF, "a.txt"),
    ("type_uncertain", b"\0\1\2\3" * 50, "a"),
    ("macro", MACROS, "a.docm"),
    ("macro_in_disguise", MACROS, "a.docx"),
    ("executable_in_disguise", PROGRAM, "a.pdf"),
    ("polyglot", PNG + packed({"a": "x"}), "a.png"),
    ("active_content", b"<html><script></script></html>", "a.html"),
    ("embedded_file", PDF + b"<</EmbeddedFiles 1 0 R>>", "a.pdf"),
    ("encrypted_content", encrypted(packed({"a": "x"})), "a.zip"),
    ("container_damaged", packed({"a": "x" * 5000})[:-30], "a.zip"),
]


@pytest.mark.parametrize(("code", "content", "name"), FOUND, ids=[code for code, *_ in FOUND])
def test_a_policy_says_what_happens_because_of_a_finding(owner, code, content, name):
    rules = everybody(denied_types="none/none", required_checks="none")
    outcomes = {}
    for action in ("allow", "flag", "quarantine"):
        rules.actions = {code: action}
        rules.save()
        upload = receive(owner, content, name)
        outcomes[action] = (code in codes(upload), upload.verdict, upload.held)
    assert outcomes == {
        "allow": (False, "passed", False),
        "flag": (True, "passed", False),
        "quarantine": (True, "quarantined", True),
    }
    rules.actions = {code: "refuse"}
    rules.save()
    held = set(store().ids())
    with pytest.raises(errors.REFUSALS_OF_CONTENT[code]) as refused:
        receive(owner, content, name)
    assert refused.value.code == code
    assert set(store().ids()) == held == set(Blob.objects.values_list("pk", flat=True))


def test_a_macro_in_disguise_is_quarantined_by_default(owner):
    upload = receive(owner, MACROS, "report.docx", WORD)
    assert (upload.verdict, upload.held) == ("quarantined", True)
    assert codes(upload) == {"macro_in_disguise"}


def test_programs_are_not_accepted_by_default_whatever_they_are_called(owner):
    with pytest.raises(errors.MediaTypeDenied) as refusal:
        receive(owner, PROGRAM, "holiday.jpg", "image/jpeg")
    assert str(refusal.value) == (
        "This is a Windows program, not a JPEG picture. Files of this type are not accepted."
    )
    assert "Windows" not in errors.MediaTypeDenied().detail


def test_a_refused_disguise_says_what_the_file_is(owner):
    everybody(actions={"type_mismatch": "refuse"})
    with pytest.raises(errors.TypeMismatch, match="This is plain text, not a PDF"):
        receive(owner, b"only words\n", "letter.pdf")


# --- While it arrives, and at its end ----------------------------------------------------------


def test_what_is_denied_is_refused_with_its_first_segment(owner):
    everybody(denied_types="video/*", allowed_types="*/*")
    offer = Offer(owner=owner, name="a.txt", declared_type="text/plain", door=Door.API)
    arrival = open_upload(offer)
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
    with pytest.raises(errors.MediaTypeDenied):
        arrival.write(film.ljust(HEAD_BYTES, b"\0"))
    arrival.abort()
    assert arrival.size == HEAD_BYTES


def big_office(main: str) -> bytes:
    """An office file whose head does not say what it is."""
    filler = {f"media/{number}.bin": bytes([number]) * 60_000 for number in range(3)}
    import zipfile

    return packed({**filler, **office(main)}, zipfile.ZIP_STORED)


def test_a_container_is_decided_at_its_end(owner):
    everybody(allowed_types=WORD)
    upload = receive(owner, big_office(f"{WORD}.main+xml"), "a.docx")
    assert upload.media_type == WORD
    with pytest.raises(errors.MediaTypeDenied):
        receive(owner, big_office(MACRO_MAIN), "a.docx")
    with pytest.raises(errors.MediaTypeDenied):
        receive(owner, packed({"a": "x"}), "a.zip")
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def test_the_name_does_not_open_a_door_that_the_content_closes(owner):
    everybody(allowed_types="image/png\ntext/markdown")
    for content, name in ((PDF, "a.png"), (GIF, "a.png"), (b"<html></html>", "a.png")):
        with pytest.raises(errors.MediaTypeDenied):
            receive(owner, content, name)
    assert receive(owner, b"# Title\n", "a.md").media_type == "text/markdown"


# --- Retention, release ------------------------------------------------------------------------


def test_what_is_older_than_its_retention_is_deleted_by_the_nightly_job(owner, stranger):
    IntakePolicy.objects.create(user=owner, retention_days=30)
    uploads = [receive(owner, b"x\n"), receive(owner, b"y\n"), receive(stranger, b"z\n")]
    busy, expired, other = uploads
    month = timezone.now() - timedelta(days=31)
    Upload.objects.update(created_at=month, state="succeeded")
    Upload.objects.filter(pk=busy.pk).update(state="running")
    call_command("expire", stdout=io.StringIO())
    assert set(Upload.objects.all()) == {busy, other}
    assert not Blob.objects.filter(upload=expired).exists()


def test_what_is_expired_is_read_page_by_page(owner, monkeypatch):
    IntakePolicy.objects.create(user=owner, retention_days=30)
    for text in (b"x\n", b"y\n", b"z\n"):
        receive(owner, text)
    Upload.objects.update(created_at=timezone.now() - timedelta(days=31), state="succeeded")
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    with CaptureQueriesContext(connection) as asked:
        assert retention.delete_expired() == 3
    assert not Upload.objects.exists()
    pages = [q for q in asked if re.search(r'"created_at" < .* LIMIT 1$', q["sql"])]
    assert len(pages) == 4


def test_only_who_may_release_lifts_a_hold_and_it_is_recorded(client, administrator, owner):
    upload = receive(owner, MACROS, "a.docx")
    action = {"action": "release_held", "_selected_action": [str(upload.pk)]}
    url = reverse("admin:uploads_upload_changelist")
    owner.is_staff = True
    owner.save()
    from django.contrib.auth.models import Permission

    owner.user_permissions.add(Permission.objects.get(codename="view_upload"))
    client.force_login(owner)
    client.post(url, action)
    upload.refresh_from_db()
    assert upload.held
    client.force_login(administrator)
    client.post(url, action)
    upload.refresh_from_db()
    assert (upload.held, upload.verdict) == (False, "quarantined")
    assert upload.released_by == administrator
    assert not release(upload, by=administrator)


def test_the_database_keeps_what_is_quarantined_held(owner):
    upload = receive(owner, MACROS, "a.docx")
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(held=False)
