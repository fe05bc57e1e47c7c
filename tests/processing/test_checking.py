"""Required checks: before the first step, on record, and no missing verdict is a pass."""

import io
from typing import Any

import pytest
from django.utils import timezone

from processing import checking, queue, runner, scanning, traces
from processing.models import Run, RunState
from processing.runs import retry_run, start_run
from processing.sandbox import StepOutcome
from processing.steps.contract import StepFailed
from uploads import verdicts
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Finding, IntakePolicy, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]


def finds(*codes: str) -> scanning.Check:
    return lambda _: StepOutcome(output={"findings": list(codes)})


def cannot(_: scanning.Subject) -> StepOutcome:
    raise StepFailed("scanner_down", "The scanner does not answer.")


@pytest.fixture
def require(monkeypatch: Any) -> Any:
    """Require checks with these answers of everybody."""

    def require(**checks: scanning.Check) -> None:
        monkeypatch.setattr(checking, "CHECKS", checks)
        names = "\n".join(checks) or "none"
        IntakePolicy.objects.update_or_create(
            user=None, group=None, defaults={"required_checks": names}
        )

    return require


@pytest.fixture
def receive(owner: Any) -> Any:
    def receive(content: bytes = b"one line\n") -> Upload:
        offer = Offer(owner=owner, name="a.txt", declared_type="text/plain", door=Door.API)
        return receive_upload(offer, io.BytesIO(content))

    return receive


def work(upload: Upload) -> Run:
    Run.objects.update(due_at=timezone.now())
    upload.refresh_from_db()
    assert upload.run_id is not None
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    upload.refresh_from_db()
    return Run.objects.get(pk=upload.run_id)


def effects(run: Run) -> list[tuple[str, str]]:
    return [(view.record.step, view.record.state) for view in traces.trace_of(run)]


STEPS = ["checksum", "media_type", "lines"]


def test_without_a_required_check_a_file_has_passed_when_it_is_accepted(receive, require):
    require()
    upload = receive()
    assert (upload.verdict, upload.held) == ("passed", False)
    assert [step for step, _ in effects(work(upload))] == STEPS


def test_checks_stand_before_the_first_step_and_let_a_file_pass(receive, require):
    require(yara=finds(), antivirus=finds())
    upload = receive()
    assert (upload.verdict, upload.held) == ("pending", True)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert [step for step, _ in effects(run)] == ["antivirus", "yara", *STEPS]
    assert [view.record.position for view in traces.trace_of(run)] == [-2, -1, 0, 1, 2]
    assert (upload.verdict, upload.held) == ("passed", False)


def test_what_is_found_puts_the_file_into_quarantine_and_no_step_runs(receive, require):
    require(antivirus=finds("malware"))
    upload = receive()
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "quarantined")
    assert effects(run) == [("antivirus", "succeeded")] + [(step, "skipped") for step in STEPS]
    assert (upload.verdict, upload.held) == ("quarantined", True)
    finding = Finding.objects.get(upload=upload)
    assert (finding.code, finding.action, finding.source) == ("malware", "quarantine", "antivirus")


def test_a_policy_may_only_flag_what_is_found(receive, require):
    require(antivirus=finds("malware"))
    IntakePolicy.objects.update(actions={"malware": "flag"})
    upload = receive()
    assert work(upload).state == RunState.SUCCEEDED
    assert upload.verdict == "passed"
    assert Finding.objects.get(upload=upload).action == "flag"


def test_what_would_refuse_before_the_acceptance_quarantines_after_it(receive, require):
    require(antivirus=finds("malware"))
    IntakePolicy.objects.update(actions={"malware": "refuse"})
    upload = receive()
    work(upload)
    assert upload.verdict == "quarantined"


def test_what_cannot_be_checked_is_held_and_tried_again(receive, require):
    require(antivirus=cannot)
    upload = receive()
    run = work(upload)
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert run.due_at > timezone.now()
    assert (upload.verdict, upload.held) == ("not_checked", True)
    assert effects(run) == [("antivirus", "failed")]
    require(antivirus=finds())
    run = work(upload)
    assert (run.state, upload.verdict, upload.held) == (RunState.SUCCEEDED, "passed", False)


def test_the_pauses_grow_and_after_the_last_try_the_run_says_why(receive, require, monkeypatch):
    monkeypatch.setattr(checking, "MAX_TRIES", 3)
    require(antivirus=cannot)
    upload = receive()
    waits = []
    for _ in range(2):
        run = work(upload)
        waits.append(run.due_at - timezone.now())
    assert waits[1] > waits[0]
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "not_checked")
    assert (upload.verdict, upload.held) == ("not_checked", True)
    require(antivirus=finds())
    retry_run(run)
    work(upload)
    assert upload.verdict == "passed"


def test_a_policy_may_let_go_on_what_is_not_checked_but_never_calls_it_clean(receive, require):
    require(antivirus=cannot)
    IntakePolicy.objects.update(not_checked="release")
    upload = receive()
    assert work(upload).state == RunState.SUCCEEDED
    assert (upload.verdict, upload.held) == ("not_checked", False)


def test_something_found_counts_although_another_check_could_not_be_made(receive, require):
    require(antivirus=cannot, yara=finds("rule_match"))
    upload = receive()
    work(upload)
    assert upload.verdict == "quarantined"


def test_checks_that_were_made_are_not_made_again_by_the_next_attempt(receive, require):
    made: list[int] = []

    def counted(_: scanning.Subject) -> StepOutcome:
        made.append(1)
        return StepOutcome(output={"findings": []})

    require(antivirus=counted, yara=cannot)
    upload = receive()
    work(upload)
    work(upload)
    assert len(made) == 1


def test_a_released_file_is_worked_on_and_stays_released(receive, require, administrator):
    require(antivirus=finds("malware"))
    upload = receive()
    work(upload)
    assert verdicts.release(upload, by=administrator)
    assert not verdicts.release(upload, by=administrator)
    start_run(upload=upload)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert (upload.verdict, upload.held) == ("quarantined", False)
    assert upload.released_by == administrator
    assert upload.released_at is not None


def test_what_the_intake_quarantined_runs_no_step(receive, require):
    require()
    upload = receive()
    Upload.objects.update(verdict="quarantined", held=True)
    Finding.objects.create(
        upload=upload, code="macro_in_disguise", action="quarantine", source=verdicts.INTAKE
    )
    run = work(upload)
    assert run.error_code == "quarantined"
    assert {state for _, state in effects(run)} == {"skipped"}


@pytest.mark.parametrize(
    ("verdict", "status", "code"),
    [("quarantined", 403, "upload_quarantined"), ("not_checked", 409, "upload_not_checked")],
)
def test_a_held_file_leaves_only_when_its_owner_takes_the_risk(
    receive, require, client_of, owner, stranger, verdict, status, code
):
    require()
    upload = receive()
    work(upload)
    Upload.objects.update(verdict=verdict, held=True)
    client = client_of(owner)
    said = client.get(f"/api/v1/uploads/{upload.pk}/").json()
    assert (said["verdict"], said["held"]) == (verdict, True)
    trace = client.get(f"/api/v1/runs/{upload.run_id}/trace/").json()
    artifacts = [a["content_url"] for record in trace for a in record["artifacts"]]
    assert artifacts
    for url in (said["content_url"], *artifacts):
        refused = client.get(url)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert client.get(url + "?accept_risk=1").status_code == status
        taken = client.get(url + "?accept_risk=true")
        assert (taken.status_code, b"".join(taken.streaming_content) != b"") == (200, True)
        assert client_of(stranger).get(url + "?accept_risk=true").status_code == 404


def test_lists_can_be_narrowed_to_what_is_held_and_why(receive, require, client_of, owner):
    require(antivirus=finds("malware"))
    bad = receive()
    work(bad)
    require()
    good = receive()
    client = client_of(owner)
    for query, expected in (
        ("verdict=quarantined", [bad]),
        ("held=true", [bad]),
        ("finding=malware", [bad]),
        ("finding=polyglot", []),
        ("verdict=passed", [good]),
    ):
        rows = client.get(f"/api/v1/uploads/?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(upload.pk) for upload in expected], query
    row = client.get("/api/v1/uploads/?held=true").json()["results"][0]
    assert row["findings"] == [{"code": "malware", "action": "quarantine", "source": "antivirus"}]
