"""The admin: what it shows, what it cannot do, and that its door is not weaker."""

import io
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin
from django.urls import reverse

from processing.models import Pipeline, Run
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Quota, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

NAME = "a-name-for-its-owner-only.txt"


@pytest.fixture
def upload(owner: Any) -> Upload:
    offer = Offer(owner=owner, name=NAME, declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(b"text\n"))
    upload.refresh_from_db()
    return upload


def pages(upload: Upload) -> list[str]:
    found = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._default_manager.first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
    return found


def test_every_page_opens_for_an_administrator_and_shows_no_name(client, administrator, upload):
    client.force_login(administrator)
    Quota.objects.get_or_create(user=administrator)
    for url in pages(upload):
        response = client.get(url)
        assert response.status_code == 200, url
        assert NAME not in response.content.decode()


def test_nobody_else_gets_in(client, owner, upload):
    client.force_login(owner)
    for url in [reverse("admin:index"), *pages(upload)]:
        assert client.get(url).status_code in {302, 403}, url


def test_its_sign_in_is_the_one_of_all_pages(client):
    response = client.get(reverse("admin:login"), follow=True)
    assert response.redirect_chain[0][0].startswith(reverse("account_login"))


def test_a_password_alone_does_not_open_it_where_a_second_factor_is_set(client, administrator):
    TOTP.activate(administrator, generate_totp_secret())
    client.post(
        reverse("account_login"),
        {"login": administrator.username, "password": "a-long-pass-phrase"},
    )
    assert client.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("model", ["uploads_upload", "processing_run"])
def test_records_can_be_looked_at_and_not_changed(client, administrator, upload, model):
    client.force_login(administrator)
    row = upload.pk if model == "uploads_upload" else upload.run_id
    assert client.get(reverse(f"admin:{model}_add")).status_code == 403
    pages = ("change",) if model == "uploads_upload" else ("change", "delete")
    for page in pages:
        url = reverse(f"admin:{model}_{page}", args=[row])
        assert client.post(url, {"post": "yes", "state": "failed"}).status_code == 403
    assert Upload.objects.get(pk=upload.pk).state == "queued"
    assert Run.objects.filter(pk=upload.run_id).exists()


def test_a_quota_can_be_set(client, administrator, owner):
    client.force_login(administrator)
    Quota.objects.create(user=owner)
    url = reverse("admin:uploads_quota_change", args=[owner.pk])
    client.post(url, {"user": owner.pk, "max_bytes": "5", "max_files": ""})
    assert Quota.objects.get(user=owner).max_bytes == 5


def test_a_pipeline_can_be_switched_off(client, administrator):
    client.force_login(administrator)
    pipeline = Pipeline.objects.get(name="any")
    form = {
        "title": "Any",
        "active": pipeline.active_id,
        "versions-TOTAL_FORMS": "0",
        "versions-INITIAL_FORMS": "0",
    }
    client.post(reverse("admin:processing_pipeline_change", args=[pipeline.pk]), form)
    assert not Pipeline.objects.get(name="any").enabled


MINE = "name: mine\r\nmedia_types: ['text/*']\r\nsteps: [checksum]\r\n"
NO_INLINES = {"versions-TOTAL_FORMS": "0", "versions-INITIAL_FORMS": "0"}


def write_pipeline(client, source, pipeline=None, **more):
    url = reverse("admin:processing_pipeline_add")
    form = {"source": source, **more}
    if pipeline is not None:
        url = reverse("admin:processing_pipeline_change", args=[pipeline.pk])
        form |= {"enabled": "on", "active": pipeline.active_id, **NO_INLINES, **more}
    return client.post(url, form)


def test_a_pipeline_is_written_changed_and_activated(client, administrator):
    client.force_login(administrator)
    assert client.get(reverse("admin:processing_pipeline_add")).status_code == 200
    assert write_pipeline(client, MINE).status_code == 302
    pipeline = Pipeline.objects.get(name="mine")
    first = pipeline.versions.get()
    assert pipeline.active == first
    assert (first.source, first.author) == (MINE.replace("\r\n", "\n"), administrator)
    page = client.get(reverse("admin:processing_pipeline_change", args=[pipeline.pk]))
    assert "steps: [checksum]" in page.content.decode()
    later = MINE.replace("checksum", "media_type")
    assert write_pipeline(client, later, pipeline).status_code == 302
    pipeline.refresh_from_db()
    assert (pipeline.active, pipeline.versions.count()) == (first, 2)
    assert write_pipeline(client, later, pipeline, activate="on").status_code == 302
    pipeline.refresh_from_db()
    assert pipeline.active is not None
    assert (pipeline.active.number, pipeline.versions.count()) == (2, 2)
    write_pipeline(client, "", pipeline, active=first.pk)
    pipeline.refresh_from_db()
    assert pipeline.active == first


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        (
            MINE.replace("checksum", "chk"),
            "line 3: steps[0].step: there is no step &#x27;chk&#x27;",
        ),
        ("name: [", "line 1: this is no YAML"),
        ("", "This field is required."),
        (MINE.replace("mine", "any"), "there is a pipeline &#x27;any&#x27; already"),
    ],
)
def test_mistakes_in_a_pipeline_are_shown_with_their_lines(client, administrator, source, mistake):
    client.force_login(administrator)
    answer = write_pipeline(client, source)
    assert answer.status_code == 200
    assert mistake in answer.content.decode()
    assert not Pipeline.objects.filter(name="mine").exists()


def test_a_pipeline_keeps_its_name(client, administrator):
    client.force_login(administrator)
    answer = write_pipeline(client, MINE, Pipeline.objects.get(name="any"))
    assert "name: must be &#x27;any&#x27;" in answer.content.decode()


def test_the_queues_own_pages_are_gone():
    assert not [m for m in admin.site._registry if m._meta.app_label == "django_q"]


def test_a_forgotten_password_without_a_mail_server_is_no_error(client, owner):
    response = client.post(reverse("account_reset_password"), {"email": "olive@example.org"})
    assert response.status_code < 400


@pytest.fixture
def staff_who_may(client: Any, django_user_model: Any) -> Any:
    """Return a function that signs in staff with some rights over users, and nothing else."""
    from django.contrib.auth.models import Permission

    def sign_in(*codenames: str) -> Any:
        user = django_user_model.objects.create_user("stan", password="x" * 20, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return user

    return sign_in


def end_tokens(client: Any, user: Any) -> bool:
    before = user.session_version
    data = {"action": "end_tokens", "_selected_action": str(user.pk)}
    client.post(reverse("admin:accounts_user_changelist"), data)
    user.refresh_from_db()
    return bool(user.session_version != before)


def test_who_may_only_look_ends_nobodys_tokens(client, owner, administrator, staff_who_may):
    staff_who_may("view_user")
    assert not end_tokens(client, owner)


def test_staff_change_others_but_no_rights_and_no_superuser(
    client, owner, administrator, staff_who_may
):
    staff = staff_who_may("view_user", "change_user")
    assert end_tokens(client, owner)
    assert not end_tokens(client, administrator)
    url = reverse("admin:accounts_user_change", args=[staff.pk])
    form = {"username": "stan", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "theme": "system"}
    assert client.post(url, form).status_code == 302
    staff.refresh_from_db()
    assert (staff.is_superuser, staff.is_staff) == (False, True)
    password = reverse("admin:auth_user_password_change", args=[administrator.pk])
    assert client.get(password).status_code == 403
    url = reverse("admin:accounts_user_change", args=[administrator.pk])
    assert client.post(url, form).status_code == 403
