"""Whoever may not upload any more, when the last byte is there, has handed in nothing."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.uploads.api.test_uploads_api import TEXT, URL, file_part, form
from tests.uploads.tus.conftest import Tus
from uploads import intake
from uploads.models import Quota, Upload
from uploads.storage import store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


def disable(owner: Any) -> None:
    type(owner).objects.filter(pk=owner.pk).update(is_active=False)


def end_all_tokens(owner: Any) -> None:
    type(owner).objects.get(pk=owner.pk).end_tokens()


def revoke(owner: Any) -> None:
    owner.token_families.update(ended_at=timezone.now())


def put(api: Any) -> Any:
    return api.put(URL + "a.txt", TEXT, content_type="text/plain")


def post(api: Any) -> Any:
    return api.post(URL, **form(file_part("a.txt")))


def tus(api: Any) -> Any:
    return Tus(api).post(len(TEXT), body=TEXT)


@pytest.fixture
def meanwhile(monkeypatch, owner):
    """Do something to the owner while the file arrives."""

    def during_the_body(act: Any) -> None:
        write = intake.Arrival.write

        def slow(self: Any, data: Any) -> None:
            write(self, data)
            act(owner)

        monkeypatch.setattr(intake.Arrival, "write", slow)

    return during_the_body


@pytest.mark.parametrize(("hand_in", "status"), [(put, 401), (post, 401), (tus, 404)])
@pytest.mark.parametrize("loss", [disable, end_all_tokens, revoke])
def test_a_program_that_lost_its_right_while_it_sent(
    client_of, owner, meanwhile, hand_in, status, loss
):
    meanwhile(loss)
    assert hand_in(client_of(owner)).status_code == status
    assert not Upload.objects.exists()
    assert list(store().ids()) == []
    assert set(Quota.objects.values_list("used_bytes", flat=True)) <= {0}


@pytest.mark.parametrize("hand_in", [put, post])
def test_a_browser_that_was_signed_out_while_it_sent(owner, meanwhile, hand_in):
    from tests.dashboard.conftest import BACKEND

    client = Client()
    client.force_login(owner, backend=BACKEND)
    meanwhile(lambda _: client.session.flush())
    assert hand_in(client).status_code == 401
    assert not Upload.objects.exists()


@pytest.mark.parametrize("hand_in", [put, post])
def test_a_browser_that_stays_signed_in_hands_in(owner, hand_in):
    from tests.dashboard.conftest import BACKEND

    client = Client()
    client.force_login(owner, backend=BACKEND)
    assert hand_in(client).status_code == 201


@pytest.mark.parametrize("hand_in", [put, post, tus])
def test_a_quota_that_was_lowered_meanwhile(client_of, owner, meanwhile, hand_in):
    Quota.objects.create(user=owner)
    meanwhile(lambda _: Quota.objects.update(max_bytes=1))
    promised = hand_in is tus  # a session has its room from the beginning
    assert hand_in(client_of(owner)).status_code == (201 if promised else 413)
    assert Upload.objects.count() == promised
