"""A run from its claim to its end, with the real sandbox and the real steps."""

import io
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processing import journal, queue, runner, traces
from processing.artifacts import Draft
from processing.definitions import add_version
from processing.models import Artifact, Pipeline, Run, RunState, StepRecord, StepState
from processing.pipelines import parse
from processing.queue import ClaimLost
from processing.runs import cancel_run, retry_run, start_run
from processing.sandbox import Sandbox, Session
from processing.steps import registry
from processing.steps.contract import StepFailed
from tests.processing.sandbox import hostile
from uploads.intake import Offer, receive_upload
from uploads.models import Blob, Door, Upload
from uploads.reading import open_blob
from uploads.storage import BlobMissing, StorageFailed, store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

TEXT = b"first line\nan ERROR here\nthe end\n"


@pytest.fixture
def upload(owner: Any) -> Upload:
    offer = Offer(owner=owner, name="log.txt", declared_type="text/plain", door=Door.API)
    return receive_upload(offer, io.BytesIO(TEXT))


def latest(upload: Upload) -> Run:
    upload.refresh_from_db()
    assert upload.run_id is not None
    return Run.objects.select_related("upload").get(pk=upload.run_id)


def work(upload: Upload) -> Run:
    claim = queue.claim(latest(upload).pk, "worker")
    assert claim is not None
    runner.execute(claim)
    return latest(upload)


def effects(run: Run) -> list[tuple[str, str]]:
    return [(view.record.step, view.record.state) for view in traces.trace_of(run)]


def test_a_run_ends_with_a_record_and_a_result_for_every_step(upload):
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.SUCCEEDED, "")
    assert upload.state == "succeeded"
    trace = traces.trace_of(run)
    assert effects(run) == [
        ("checksum", "succeeded"),
        ("media_type", "succeeded"),
        ("lines", "succeeded"),
    ]
    assert trace[0].output is not None
    assert trace[0].output["sha256"] == upload.sha256
    for view in trace:
        assert view.record.ended_at is not None
        assert view.record.ended_at >= view.record.started_at
        assert (view.record.bytes_in or 0) >= len(TEXT)


def test_results_are_stored_encrypted(upload, settings):
    run = work(upload)
    digest = upload.sha256.encode()
    for record in StepRecord.objects.filter(run=run):
        assert record.sealed_output
        assert digest not in bytes(record.sealed_output)
    artifact = Artifact.objects.filter(record__run=run).first()
    assert artifact is not None
    with open_blob(artifact.blob) as content:
        plaintext = content.read_at(0, content.size)
    assert len(plaintext) == artifact.size
    for path in settings.UPLOADS["BLOBS_DIR"].rglob("*"):
        if path.is_file():
            assert b"ERROR" not in path.read_bytes().upper()


def fail_in(monkeypatch: Any, step: str, error: BaseException) -> None:
    original = Session.run

    def run(self: Session, name: str, **rest: Any) -> Any:
        if name == step:
            rest["open_artifact"]("half.txt", "text/plain").write(b"half")
            raise error
        return original(self, name, **rest)

    monkeypatch.setattr(Session, "run", run)


def test_a_step_that_fails_ends_the_run_and_names_what_it_caused(upload, monkeypatch):
    fail_in(monkeypatch, "media_type", StepFailed("step_timed_out", "Too slow."))
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "step_timed_out")
    assert effects(run) == [
        ("checksum", "succeeded"),
        ("media_type", "failed"),
        ("lines", "skipped"),
    ]
    skipped = run.records.get(step="lines")
    assert skipped.caused_by == "media_type"
    assert not Artifact.objects.filter(name="half.txt").exists()
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def pipeline_of(*steps: dict[str, Any]) -> None:
    pipeline = Pipeline.objects.get(name="text")
    data = {"name": "text", "title": "Text", "media_types": ["text/*"], "steps": list(steps)}
    add_version(pipeline, parse(data))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("segfault", "step_crashed"),
        ("spin", "step_cpu_exceeded"),
        ("sleep", "step_timed_out"),
        ("fork_without_end", "step_cpu_exceeded"),
        ("allocate", "step_out_of_memory"),
        ("endless_output", "step_output_too_large"),
        ("endless_artifact", "step_output_too_large"),
    ],
)
def test_a_file_over_which_a_step_misbehaves_ends_as_failed_in_time(
    upload, monkeypatch, name, code
):
    """Segfault, loop, fork, memory, flood: the run says which, and the step after it is skipped."""
    monkeypatch.setattr(registry, "REGISTRY", {**registry.REGISTRY, name: hostile.REGISTRY[name]})
    pipeline_of({"step": name}, {"step": "checksum"})
    start_run(upload=upload)
    with Sandbox(registry=hostile.__name__) as sandbox:
        monkeypatch.setattr(runner, "sandbox", lambda: sandbox)
        began = time.monotonic()
        run = work(upload)
        took_s = time.monotonic() - began
    assert (run.state, run.error_code) == (RunState.FAILED, code)
    assert run.error_detail
    assert effects(run) == [(name, "failed"), ("checksum", "skipped")]
    record = run.records.get(step=name)
    assert (record.duration_ms or 0) / 1000 < hostile.REGISTRY[name].limits.wall_s + 2
    assert took_s < hostile.REGISTRY[name].limits.wall_s + 2 + 5  # with the start of a sandbox


def test_a_step_may_read_the_text_that_another_one_made(owner):
    pipeline_of(
        {"step": "document_text"},
        {"step": "checksum", "name": "of_text", "reads": "document_text"},
        {"step": "search_terms", "reads": "document_text"},
    )
    offer = Offer(owner=owner, name="log.txt", declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO("größer\r\n".encode("utf-16")))
    run = work(upload)
    made = Artifact.objects.get(record__run=run, name="text.txt")
    output = {view.record.step: view.output for view in traces.trace_of(run)}
    assert output["of_text"] == {"sha256": made.sha256, "size": made.size}
    assert made.sha256 != upload.sha256
    assert output["search_terms"] == {"count": 1, "complete": True}


def test_a_step_whose_text_cannot_be_opened_leaves_a_record(upload, monkeypatch):
    pipeline_of(
        {"step": "document_text"},
        {"step": "checksum", "name": "of_text", "reads": "document_text"},
    )
    start_run(upload=upload)

    def open_contents_only(blob: Blob, **how: Any) -> Any:
        if not blob.is_content:
            raise BlobMissing
        return open_blob(blob, **how)

    monkeypatch.setattr(runner, "open_blob", open_contents_only)
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, BlobMissing.code)
    assert effects(run) == [("document_text", "succeeded"), ("of_text", "failed")]
    assert run.records.get(step="of_text").error_code == BlobMissing.code


def test_where_no_text_was_made_what_reads_it_is_skipped(upload):
    pipeline_of(
        {"step": "checksum"},
        {"step": "media_type", "name": "of_text", "reads": "checksum"},
        {"step": "media_type", "name": "after", "needs": ["of_text"]},
        {"step": "media_type", "name": "beside", "needs": ["checksum"]},
    )
    start_run(upload=upload)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    causes = dict(run.records.values_list("step", "caused_by"))
    assert causes == {"checksum": "", "of_text": "checksum", "after": "of_text", "beside": ""}


def test_a_step_that_cannot_read_this_type_is_skipped_and_the_run_goes_on(upload):
    pipeline_of({"step": "pdf_text"}, {"step": "checksum"})
    start_run(upload=upload)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert effects(run) == [("pdf_text", "skipped"), ("checksum", "succeeded")]


def test_branches_that_do_not_wait_for_a_failed_step_run_to_their_end(upload, monkeypatch):
    pipeline_of(
        {"step": "checksum"},
        {"step": "lines", "needs": ["checksum"]},
        {"step": "media_type", "needs": ["checksum"]},
        {"step": "checksum", "name": "join", "needs": ["lines", "media_type"]},
    )
    start_run(upload=upload)
    fail_in(monkeypatch, "lines", StepFailed("step_timed_out", "Too slow."))
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "step_timed_out")
    assert effects(run) == [
        ("checksum", "succeeded"),
        ("lines", "failed"),
        ("media_type", "succeeded"),
        ("join", "skipped"),
    ]
    assert run.records.get(step="join").caused_by == "lines"


def test_a_retry_takes_up_what_failed_and_what_waited_for_it(upload, monkeypatch):
    pipeline_of({"step": "checksum"}, {"step": "lines"}, {"step": "media_type", "needs": []})
    start_run(upload=upload)
    with monkeypatch.context() as broken:
        fail_in(broken, "checksum", StepFailed("step_timed_out", "Too slow."))
        run = work(upload)
    assert run.state == RunState.FAILED
    retry_run(run)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert effects(run) == [
        ("checksum", "failed"),
        ("checksum", "succeeded"),
        ("lines", "skipped"),
        ("lines", "succeeded"),
        ("media_type", "succeeded"),
    ]


def test_a_step_whose_condition_does_not_hold_is_skipped(upload):
    pipeline_of(
        {"step": "lines"},
        {"step": "checksum", "when": "steps.lines.lines == 3"},
        {"step": "media_type", "when": "steps.lines.lines > 3"},
    )
    start_run(upload=upload)
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert effects(run)[1:] == [("checksum", "succeeded"), ("media_type", "skipped")]
    assert run.records.get(step="media_type").caused_by == "when"


def test_a_step_gets_the_attempts_and_the_time_that_its_pipeline_grants(upload, monkeypatch):
    pipeline_of({"step": "checksum", "max_attempts": 2, "timeout_s": 0.000001})
    start_run(upload=upload)
    run = work(upload)
    assert run.state == RunState.QUEUED
    Run.objects.update(due_at=timezone.now())
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "step_timed_out")
    assert effects(run) == [("checksum", "failed"), ("checksum", "failed")]


def test_what_passes_is_tried_again_later_and_finished_steps_keep_their_effect(upload, monkeypatch):
    with monkeypatch.context() as broken:
        fail_in(broken, "lines", OSError("a disk went away"))
        run = work(upload)
    assert run.state == RunState.QUEUED
    assert run.due_at > timezone.now()
    assert queue.claim(None, "worker") is None
    Run.objects.update(due_at=timezone.now())
    run = work(upload)
    assert run.state == RunState.SUCCEEDED
    assert effects(run) == [
        ("checksum", "succeeded"),
        ("media_type", "succeeded"),
        ("lines", "failed"),
        ("lines", "succeeded"),
    ]


def test_what_keeps_failing_is_parked_with_its_reason(upload, monkeypatch, settings):
    fail_in(monkeypatch, "checksum", OSError("a disk went away"))
    for _ in range(settings.PROCESSING["MAX_ATTEMPTS"]):
        Run.objects.update(due_at=timezone.now())
        run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "worker_failed")
    assert "disk" not in run.error_detail


def test_a_late_workers_writes_are_refused(upload):
    run = latest(upload)
    late = queue.claim(run.pk, "late")
    assert late is not None
    Run.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert queue.requeue_abandoned() == 1
    assert queue.claim(run.pk, "next") is not None
    runner.execute(late)
    records = StepRecord.objects.filter(attempt=late.fence)
    assert set(records.values_list("state", flat=True)) == {StepState.ABANDONED}
    with pytest.raises(ClaimLost):
        queue.finish(late, RunState.SUCCEEDED)


def die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def killed_in(upload: Upload, monkeypatch: Any, *, told: bool) -> Run:
    """Work until the end of the second step, die, and have the run found by the next tick."""
    claim = queue.claim(latest(upload).pk, "worker")
    assert claim is not None
    original = Session.run

    def run(self: Session, name: str, **rest: Any) -> Any:
        if name == "media_type":
            if told:
                monkeypatch.setattr(journal, "VISIBLE_WITHIN_S", 0.0)
            self._pulse()
            die()
        return original(self, name, **rest)

    with monkeypatch.context() as dying:
        dying.setattr(Session, "run", run)
        with pytest.raises(KeyboardInterrupt):
            runner.execute(claim)
    Run.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert queue.requeue_abandoned() == 1
    return work(upload)


def test_a_killed_workers_step_is_recorded_as_abandoned_and_done_again(upload, monkeypatch):
    run = killed_in(upload, monkeypatch, told=True)
    assert run.state == RunState.SUCCEEDED
    assert effects(run) == [
        ("checksum", "succeeded"),
        ("media_type", "abandoned"),
        ("media_type", "succeeded"),
        ("lines", "succeeded"),
    ]


def test_a_worker_that_is_killed_before_it_told_of_anything_leaves_a_trace(upload, monkeypatch):
    run = killed_in(upload, monkeypatch, told=False)
    assert run.state == RunState.SUCCEEDED
    assert effects(run)[:2] == [("checksum", "abandoned"), ("checksum", "succeeded")]
    assert run.records.filter(state=StepState.SUCCEEDED).count() == 3


def test_nothing_of_a_run_is_known_before_its_transaction_and_all_of_it_after(upload, monkeypatch):
    seen = []
    original = queue.settle

    def settle(**rest: Any) -> Any:
        seen.append((StepRecord.objects.count(), Artifact.objects.count()))
        return original(**rest)

    monkeypatch.setattr(journal, "VISIBLE_WITHIN_S", 60.0)
    monkeypatch.setattr(journal, "settle", settle)
    run = work(upload)
    assert seen == [(0, 0)]
    assert (run.records.count(), Artifact.objects.count()) == (3, 2)


def test_a_slow_step_shows_while_it_runs(upload, monkeypatch):
    shown = []
    original = Session.run

    def run(self: Session, name: str, **rest: Any) -> Any:
        monkeypatch.setattr(journal, "VISIBLE_WITHIN_S", 0.0)
        self._pulse()
        shown.append(effects(latest(upload))[-1])
        return original(self, name, **rest)

    monkeypatch.setattr(Session, "run", run)
    assert work(upload).state == RunState.SUCCEEDED
    assert shown == [("checksum", "running"), ("media_type", "running"), ("lines", "running")]


def test_an_artifact_that_cannot_be_made_durable_fails_its_step(upload, monkeypatch):
    def fail(self: Any) -> None:
        raise StorageFailed

    with monkeypatch.context() as broken:
        broken.setattr(Draft, "commit", fail)
        run = work(upload)
    assert run.state == RunState.QUEUED
    assert effects(run)[-1] == ("lines", "failed")
    assert not Artifact.objects.exists()
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))
    Run.objects.update(due_at=timezone.now())
    assert work(upload).state == RunState.SUCCEEDED


def test_a_step_of_a_run_that_was_lost_is_ended(upload, monkeypatch):
    run = latest(upload)
    claim = queue.claim(run.pk, "worker")
    assert claim is not None
    monkeypatch.setattr(queue, "is_lost", lambda claim: True)
    cancel_run(run)
    runner.execute(claim)
    assert not run.records.exists()
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def test_damage_is_found_and_the_run_says_so(upload, settings):
    (path,) = (p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file())
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    run = work(upload)
    assert (run.state, run.error_code) == (RunState.FAILED, "blob_damaged")


def test_cancelling_shuts_the_worker_out(upload):
    run = latest(upload)
    claim = queue.claim(run.pk, "worker")
    assert claim is not None
    cancel_run(run)
    runner.execute(claim)
    run = latest(upload)
    assert (run.state, upload.state) == (RunState.CANCELLED, "cancelled")
    assert not run.records.exists()
    assert retry_run(run).state == RunState.QUEUED
    assert work(upload).state == RunState.SUCCEEDED


def test_personal_data_are_a_finding_for_as_long_as_they_are_found(owner):
    offer = Offer(owner=owner, name="a.txt", declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(b"anna@example.org wrote\n"))
    for kinds, expected in (["iban"], []), (["email"], ["personal_data"]), (["iban"], []):
        pipeline_of({"step": "personal_data", "settings": {"kinds": kinds}})
        start_run(upload=upload)
        assert work(upload).state == RunState.SUCCEEDED
        assert list(upload.findings.values_list("code", flat=True)) == expected


def test_a_look_that_finds_nothing_leaves_what_another_step_found(owner):
    offer = Offer(owner=owner, name="a.txt", declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(b"anna@example.org wrote\n"))
    looks = {"first": "email", "second": "iban"}
    pipeline_of(
        *(
            {"step": "personal_data", "name": name, "settings": {"kinds": [kind]}}
            for name, kind in looks.items()
        )
    )
    start_run(upload=upload)
    assert work(upload).state == RunState.SUCCEEDED
    assert list(upload.findings.values_list("code", "source")) == [("personal_data", "first")]


def test_running_again_makes_a_new_run_and_leaves_the_old_trace(upload):
    first = work(upload)
    again = start_run(upload=upload, pipeline="any")
    assert latest(upload) == again
    run = work(upload)
    assert effects(run) == [("checksum", "succeeded"), ("media_type", "succeeded")]
    assert len(effects(first)) == 3


def test_running_from_a_step_takes_over_what_stands_before_it(upload):
    first = work(upload)
    start_run(upload=upload, pipeline="text", from_step="lines")
    run = work(upload)
    trace = traces.trace_of(run)
    assert [view.record.caused_by for view in trace] == [f"run {first.pk}", f"run {first.pk}", ""]
    assert trace[0].output == traces.trace_of(first)[0].output


def test_a_run_pins_its_version(upload):
    run = latest(upload)
    pipeline = Pipeline.objects.get(name="text")
    data = {**run.version.definition, "steps": [{"step": "checksum"}]}
    add_version(pipeline, parse(data))
    run = work(upload)
    assert run.version.number == 1
    assert len(effects(run)) == 3
    assert start_run(upload=upload).version.number == 2
    assert start_run(upload=upload, pipeline="text", version=1).version.number == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_run(upload):
    run, taken = latest(upload), []
    barrier = threading.Barrier(8)

    def race() -> None:
        from django.db import connection

        barrier.wait()
        taken.append(queue.claim(run.pk, "worker"))
        connection.close()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in taken if claim]) == 1


def test_records_end_in_one_of_the_known_states(upload):
    work(upload)
    assert set(StepRecord.objects.values_list("state", flat=True)) <= set(StepState.values)
