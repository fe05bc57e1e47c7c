"""Who has a list or a detail already is told so, and only so."""

import pytest

from config.edge.handover import SLOT, SendContent, Slot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

URL = "/api/v1/uploads/"


@pytest.fixture
def api(client_of, owner):
    client = client_of(owner)
    client.put(URL + "a.txt", b"one line\n", content_type="text/plain")
    return client


@pytest.fixture(params=["list", "detail"])
def path(request, api):
    (upload,) = api.get(URL).json()["results"]
    return URL if request.param == "list" else f"{URL}{upload['id']}/"


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_what_the_caller_has_is_not_sent_again(api, path, method, known):
    first = api.get(path)
    again = getattr(api, method)(path, headers={"If-None-Match": known.format(first["ETag"])})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert again["Cache-Control"] == first["Cache-Control"] == "private, no-cache"


def test_what_has_changed_is_sent(api, path):
    tag = api.get(path)["ETag"]
    api.post(path + "runs/") if path != URL else api.put(
        URL + "b.txt", b"another\n", content_type="text/plain"
    )
    again = api.get(path, headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again["ETag"] != tag


def test_a_tag_does_not_tell_of_what_is_anothers(api, path, client_of, stranger):
    tag = api.get(path)["ETag"]
    theirs = client_of(stranger).get(path, headers={"If-None-Match": tag})
    assert theirs.status_code == (200 if path == URL else 404)


@pytest.mark.parametrize("address", ["/healthz", "/api/v1/uploads/?state=nonsense", "/"])
def test_what_is_no_answer_of_the_api_has_no_tag(api, address):
    assert "ETag" not in api.get(address)


def test_who_wants_another_version_is_told_so_as_a_problem(api, path):
    tag = api.get(path)["ETag"]
    assert api.get(path, headers={"If-Match": tag}).status_code == 200
    other = api.get(path, headers={"If-Match": '"other"'})
    assert (other.status_code, other["Content-Type"]) == (412, "application/problem+json")
    assert other.json()["code"] == "precondition_failed"


@pytest.mark.parametrize("at_the_edge", [False, True])
def test_content_that_is_json_keeps_its_own_tag(api, at_the_edge):
    slot = Slot()
    served = {SLOT: slot} if at_the_edge else {}
    tags = []
    for body in (b'{"a": 1}', b'{"a": 2}'):
        upload = api.put(URL + "a.json", body, content_type="application/json").json()
        answer = api.get(upload["content_url"], **served)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
        assert answer["ETag"] == f'"{upload["sha256"]}"'
        if at_the_edge:
            handover = slot.handover
            assert isinstance(handover, SendContent)
            assert handover.source.read_at(0, len(body)) == body
            handover.drop()
        else:
            assert answer.getvalue() == body
        tags.append(answer["ETag"])
    other = api.get(upload["content_url"], headers={"If-None-Match": tags[0]}, **served)
    assert other.status_code == 200
    if slot.handover is not None:
        slot.handover.drop()
