"""Runs, traces, artifacts, pipelines and statistics over HTTP."""

import io
import uuid
from typing import Any

import pytest

from processing import definitions, queue, runner
from processing.models import Origin, Run
from processing.pipelines import builtin
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

TEXT = b"first line\nan ERROR here\n"


@pytest.fixture
def done(owner: Any) -> Upload:
    offer = Offer(owner=owner, name="log.txt", declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(TEXT))
    work(upload)
    return upload


def work(upload: Upload) -> None:
    upload.refresh_from_db()
    assert upload.run_id is not None
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    upload.refresh_from_db()


def test_a_run_and_its_trace_tell_what_happened(client_of, owner, done):
    client = client_of(owner)
    run = client.get(f"/api/v1/runs/{done.run_id}/").json()
    assert (run["state"], run["pipeline"], run["version"]) == ("succeeded", "text", 1)
    assert run["upload"] == str(done.pk)
    assert run["duration_ms"] > 0
    trace = client.get(f"/api/v1/runs/{done.run_id}/trace/").json()
    assert [r["step"] for r in trace] == ["checksum", "media_type", "lines"]
    assert {r["state"] for r in trace} == {"succeeded"}
    for record in trace:
        assert record["started_at"] <= record["ended_at"]
        assert record["duration_ms"] >= 0
        assert record["error_code"] == record["error_detail"] == ""
    assert trace[0]["output"]["sha256"] == done.sha256


def test_an_artifact_is_fetched_by_its_owner_only(client_of, owner, stranger, done):
    trace = client_of(owner).get(f"/api/v1/runs/{done.run_id}/trace/").json()
    artifact = next(a for r in trace for a in r["artifacts"] if a["name"] == "lines.txt")
    response = client_of(owner).get(artifact["content_url"])
    content = b"".join(response.streaming_content)
    assert b"AN ERROR HERE" in content
    assert len(content) == artifact["size"]
    assert response["Content-Disposition"].startswith("attachment")
    same = {"HTTP_X_REQUEST_ID": "same"}
    foreign = client_of(stranger).get(artifact["content_url"], **same)
    missing = client_of(stranger).get(f"/api/v1/artifacts/{uuid.uuid4()}/content/", **same)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


def test_lists_show_the_callers_own_runs(client_of, owner, stranger, done):
    assert len(client_of(owner).get("/api/v1/runs/").json()["results"]) == 1
    assert client_of(stranger).get("/api/v1/runs/").json()["results"] == []
    narrowed = {"upload": str(done.pk), "pipeline": "text", "state": "succeeded"}
    assert len(client_of(owner).get("/api/v1/runs/", narrowed).json()["results"]) == 1
    assert client_of(owner).get("/api/v1/runs/", {"state": "failed"}).json()["results"] == []


def test_running_again_answers_where_the_new_run_is(client_of, owner, done):
    client = client_of(owner)
    url = f"/api/v1/uploads/{done.pk}/runs/"
    response = client.post(url, {"pipeline": "text", "from_step": "lines"}, format="json")
    assert response.status_code == 202
    run = client.get(response["Location"]).json()
    assert (run["state"], run["from_step"]) == ("queued", "lines")
    assert client.get(f"/api/v1/uploads/{done.pk}/").json()["run"] == run["id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"pipeline": "no-such"}, "unknown_pipeline"),
        ({"pipeline": "text", "version": 99}, "unknown_version"),
        ({"pipeline": "text", "from_step": "no-such"}, "unknown_step"),
        ({"pipeline": "any", "from_step": "media_type"}, "unknown_step"),
        ({"version": 0}, "invalid_input"),
    ],
)
def test_running_again_refuses(client_of, owner, done, body, code):
    url = f"/api/v1/uploads/{done.pk}/runs/"
    response = client_of(owner).post(url, body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert Run.objects.count() == 1


def test_a_run_is_cancelled_and_retried_only_where_that_makes_sense(client_of, owner, done):
    client = client_of(owner)
    ended = f"/api/v1/runs/{done.run_id}/"
    for action, code in (("cancel", "run_has_ended"), ("retry", "run_has_not_ended")):
        response = client.post(f"{ended}{action}/")
        assert (response.status_code, response.json()["code"]) == (409, code)
    again = client.post(f"/api/v1/uploads/{done.pk}/runs/", {}, format="json")["Location"]
    assert client.post(f"{again}cancel/").json()["state"] == "cancelled"
    assert client.post(f"{again}retry/").json()["state"] == "queued"
    work(done)
    assert client.get(again).json()["state"] == "succeeded"


def test_pipelines_say_what_can_run(client_of, owner):
    pipelines = client_of(owner).get("/api/v1/pipelines/").json()
    assert {p["name"] for p in pipelines} == {definition.name for definition in builtin()}
    text = next(p for p in pipelines if p["name"] == "text")
    assert text["steps"] == ["checksum", "media_type", "lines"]
    assert text["media_types"] == ["text/*"]


MINE = """
name: mine
media_types: ["*/*"]
owners: [olive]
steps:
  - {step: lines, needs: [checksum], when: size < 5 MiB}
  - {step: checksum, needs: []}
"""


def test_a_pipeline_shows_its_versions_and_its_graph(client_of, owner):
    for title in ("One", "Two"):
        definitions.import_source(f"title: {title}{MINE}", origin=Origin.ADMIN)
    pipeline = client_of(owner).get("/api/v1/pipelines/mine/").json()
    assert (pipeline["version"], pipeline["title"]) == (1, "One")
    assert [(v["number"], v["is_active"]) for v in pipeline["versions"]] == [(2, False), (1, True)]
    assert pipeline["steps"] == ["checksum", "lines"]
    assert pipeline["graph"][1] == {
        "name": "lines",
        "step": "lines",
        "needs": ["checksum"],
        "when": "size < 5 MiB",
        "settings": {},
        "timeout_s": None,
        "max_attempts": 1,
    }


def test_a_pipeline_of_others_does_not_exist(client_of, stranger):
    definitions.import_source(MINE, origin=Origin.ADMIN)
    client = client_of(stranger)
    foreign = client.get("/api/v1/pipelines/mine/", HTTP_X_REQUEST_ID="same")
    missing = client.get("/api/v1/pipelines/none/", HTTP_X_REQUEST_ID="same")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content
    assert "mine" not in {p["name"] for p in client.get("/api/v1/pipelines/").json()}


def test_a_version_of_other_owners_is_not_listed_and_runs_nothing(client_of, stranger):
    closed = f"title: Closed{MINE}"
    definitions.import_source(closed, origin=Origin.ADMIN)
    opened = MINE.replace("owners: [olive]\n", "")
    definitions.import_source(f"title: Open{opened}", origin=Origin.ADMIN, active=True)
    client = client_of(stranger)
    pipeline = client.get("/api/v1/pipelines/mine/").json()
    assert [version["number"] for version in pipeline["versions"]] == [2]
    offer = Offer(owner=stranger, name="x.txt", declared_type="", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(b"a line\n"))
    path = f"/api/v1/uploads/{upload.pk}/runs/"
    answer = client.post(path, {"pipeline": "mine", "version": 1}, content_type="application/json")
    none = client.post(path, {"pipeline": "mine", "version": 9}, content_type="application/json")
    assert answer.status_code == none.status_code
    assert answer.json()["code"] == none.json()["code"] == "unknown_version"


def test_pipelines_cost_the_same_number_of_queries_for_any_number_of_versions(
    client_of, owner, django_assert_max_num_queries
):
    for number in range(5):
        definitions.import_source(f"title: T{number}{MINE}", origin=Origin.ADMIN)
    with django_assert_max_num_queries(6):
        client_of(owner).get("/api/v1/pipelines/")


def test_statistics_count_the_callers_work_and_errors(client_of, owner, stranger, done):
    offer = Offer(owner=owner, name="x.pdf", declared_type="", door=Door.API, pipeline="document")
    broken = receive_upload(offer, io.BytesIO(b"%PDF-1.7\nbroken"))
    work(broken)
    stats = client_of(owner).get("/api/v1/stats/").json()
    assert stats["uploads"] == 2
    assert stats["by_state"]["succeeded"] == stats["by_state"]["failed"] == 1
    steps = {step["step"]: step for step in stats["steps"]}
    assert (steps["checksum"]["count"], steps["checksum"]["failed"]) == (2, 0)
    assert (steps["pdf_text"]["count"], steps["pdf_text"]["failed"]) == (1, 1)
    assert steps["checksum"]["p95_ms"] >= steps["checksum"]["mean_ms"] > 0
    assert [e["error_code"] for e in stats["errors"]] == ["pdf_unreadable"]
    assert client_of(stranger).get("/api/v1/stats/").json()["uploads"] == 0


def test_statistics_cost_the_same_number_of_queries_for_any_history(
    client_of, owner, done, django_assert_max_num_queries
):
    client = client_of(owner)
    with django_assert_max_num_queries(8):
        client.get("/api/v1/stats/")
