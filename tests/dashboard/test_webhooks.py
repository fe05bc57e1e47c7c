"""The pages of webhooks."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from processing.webhooks import deliveries, endpoints
from processing.webhooks.models import Delivery, Ended, Endpoint
from processing.webhooks.sending import Answer
from tests.dashboard.conftest import Visit

pytestmark = pytest.mark.django_db

ADDRESS = "https://1.1.1.1/hook"
FORM = {"name": "books", "url": ADDRESS, "events": ["run.failed", "run.succeeded"]}


@pytest.fixture
def endpoint(owner: Any) -> Endpoint:
    return endpoints.create(owner, name="books", url=ADDRESS, events=["run.failed"])[0]


@pytest.fixture
def delivery(endpoint: Endpoint) -> Delivery:
    endpoints.send_test(endpoint)
    (claim,) = deliveries.claim(1)
    deliveries.settle(claim, Answer(503, "not_accepted"), took_ms=41)
    return claim.delivery


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_without_an_endpoint_the_page_says_what_one_is(visit: Visit, owner: Any) -> None:
    assert "Nobody is told yet" in text(visit(owner).get(reverse("webhooks")))


def test_making_one_shows_its_secret_this_once(visit: Visit, owner: Any) -> None:
    client = visit(owner)
    shown = text(client.post(reverse("webhook-new"), FORM))
    assert "whsec_" in shown
    endpoint = Endpoint.objects.get(owner=owner)
    assert endpoint.events == ["run.succeeded", "run.failed"]
    for path in (reverse("webhooks"), reverse("webhook", args=[endpoint.pk])):
        answer = client.get(path)
        assert "whsec_" not in text(answer)
        assert ADDRESS in text(answer)
        assert "no-store" in answer["Cache-Control"]


def test_a_form_that_is_refused_keeps_what_stood_in_it(visit: Visit, owner: Any) -> None:
    said = {**FORM, "url": "http://10.0.0.1/", "events": ["run.failed"]}
    shown = text(visit(owner).post(reverse("webhook-new"), said))
    assert "must begin with https://" in shown
    assert 'value="http://10.0.0.1/"' in shown
    assert shown.count("checked") == 1
    assert not Endpoint.objects.exists()


def test_a_new_secret_and_how_long_the_old_one_signs(
    visit: Visit, owner: Any, endpoint: Endpoint
) -> None:
    client = visit(owner)
    shown = text(client.post(reverse("webhook-rotate", args=[endpoint.pk])))
    assert "whsec_" in shown
    assert "two signatures" in shown
    assert "two signatures" in text(client.get(reverse("webhook", args=[endpoint.pk])))


def test_changing_switching_deleting(visit: Visit, owner: Any, endpoint: Endpoint) -> None:
    client = visit(owner)

    def post(view: str, **data: Any) -> Any:
        return client.post(reverse(view, args=[endpoint.pk]), data)

    post("webhook-change", **{**FORM, "name": "ledger"})
    post("webhook-switch", to="off")
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.enabled) == ("ledger", False)
    page = text(client.get(reverse("webhook", args=[endpoint.pk])))
    assert "switched off by its owner" in page
    assert "Send test" not in page
    post("webhook-switch", to="on")
    endpoint.refresh_from_db()
    assert endpoint.enabled
    shown = text(post("webhook-change", **{**FORM, "name": "not a name"}))
    assert "A name has 1 to 50 letters" in shown
    assert client.get(reverse("webhook-delete", args=[endpoint.pk])).status_code == 200
    assert Endpoint.objects.exists()
    post("webhook-delete")
    assert not Endpoint.objects.exists()


def test_a_delivery_shows_its_attempts_its_body_and_when_it_goes_on(
    visit: Visit, owner: Any, endpoint: Endpoint, delivery: Delivery
) -> None:
    client = visit(owner)
    for path in (
        reverse("webhook", args=[endpoint.pk]),
        reverse("delivery", args=[delivery.pk]),
    ):
        page = text(client.get(path))
        for shown in ("webhook.test", "Waiting", "<code>503</code>", "41 ms", "Not accepted"):
            assert shown in page
        delivery.refresh_from_db()
        assert f"{delivery.due_at:%Y-%m-%d %H:%M:%S} UTC" in page
    assert "&quot;type&quot;: &quot;webhook.test&quot;" in page
    assert delivery.message_id in page


def test_sending_again(visit: Visit, owner: Any, delivery: Delivery) -> None:
    answer = visit(owner).post(reverse("delivery-resend", args=[delivery.pk]), follow=True)
    assert "It is sent again." in text(answer)
    delivery.refresh_from_db()
    assert (delivery.attempt, delivery.due_at <= timezone.now()) == (0, True)


@pytest.mark.parametrize("because", [Ended.GONE, Ended.FAILING])
def test_an_endpoint_that_was_switched_off_is_told_to_its_owner(
    visit: Visit, owner: Any, endpoint: Endpoint, because: Ended
) -> None:
    deliveries.switch_off(Endpoint.objects.all(), because)
    client = visit(owner)
    for path in (reverse("webhooks"), reverse("webhook", args=[endpoint.pk])):
        assert because.label.lower() in text(client.get(path))


def test_pages_ask_the_same_number_of_questions_whatever_there_is(
    visit: Visit, owner: Any, endpoint: Endpoint, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = visit(owner)
    counts = []
    for number in range(2):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get(reverse("webhooks"))
            client.get(reverse("webhook", args=[endpoint.pk]))
        counts.append(len(asked))
        endpoints.create(owner, name=f"more-{number}", url=ADDRESS, events=[])
        endpoints.send_test(endpoint)
        endpoints.send_test(endpoint)
    assert counts[1] <= counts[0] + 1  # attempts, once there is a delivery
