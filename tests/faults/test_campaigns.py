"""Short versions of the campaigns, in processes of their own; and that the checker sees faults."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processing import queue, runner
from processing.models import Artifact, Run, RunState, StepRecord
from tests.faults.checker import violations
from tests.processing.steps.corpus import corpus
from uploads.intake import Offer, receive_upload
from uploads.models import Blob, Door, Quota, Upload
from uploads.storage import store

ROOT = Path(__file__).parents[2]

__all__ = ["corpus"]


def campaign(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.faults
def test_twenty_kills_lose_and_double_nothing():
    campaign("tests.faults.kill_campaign", "--kills", "20")


@pytest.mark.faults
def test_no_file_of_the_corpus_hurts_a_worker(corpus):
    campaign("tests.faults.corpus_campaign", str(corpus))


@pytest.mark.faults
def test_a_flood_of_one_user_does_not_drown_another():
    campaign("tests.faults.flood", "--files", "400")


@pytest.fixture
def upload(owner: Any, pipelines: None) -> Upload:
    offer = Offer(owner=owner, name="a.txt", declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(b"one line\n"))
    claim = queue.claim(upload.run_id or Run.objects.get().pk, "worker")
    assert claim
    runner.execute(claim)
    return Upload.objects.get()


@pytest.mark.django_db
def test_the_checker_finds_nothing_where_nothing_is_wrong(upload):
    assert violations({upload.pk: upload.sha256}) == []


FAULTS: dict[str, Any] = {
    "I1 other": lambda upload: None,
    "I1 unreadable": lambda upload: store().remove(Blob.objects.get(is_content=True).pk),
    "I2": lambda upload: Run.objects.create(
        upload=upload,
        owner_id=upload.owner_id,
        version=Run.objects.get().version,
        state=RunState.SUCCEEDED,
        due_at=upload.created_at,
        created_at=upload.created_at,
    ),
    "I3 0 effects": lambda upload: StepRecord.objects.filter(step="checksum").delete(),
    "I3 2 artifacts": lambda upload: Artifact.objects.create(
        **{
            field.attname: value
            for field in Artifact._meta.concrete_fields
            if not field.primary_key
            and (value := getattr(Artifact.objects.all()[0], field.attname)) is not None
        }
    ),
    "I4 hole": lambda upload: store().remove(Blob.objects.filter(is_content=False)[0].pk),
    "I4 quota": lambda upload: Quota.objects.update(used_bytes=1),
    "I6 not ended": lambda upload: Run.objects.update(state=RunState.RUNNING),
    "I6 record": lambda upload: StepRecord.objects.filter(step="lines").update(state="running"),
    "I6 upload": lambda upload: Upload.objects.update(state="failed"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("fault", FAULTS)
def test_the_checker_finds(upload, fault):
    digest = "0" * 64 if fault == "I1 other" else upload.sha256
    FAULTS[fault](upload)
    assert any(line.startswith(fault) for line in violations({upload.pk: digest}))


@pytest.mark.django_db
def test_the_checker_finds_what_is_lost_and_what_was_never_handed_in(upload):
    unknown = Run.objects.get().pk
    found = violations({unknown: ""})
    assert {line.partition(":")[0] for line in found} >= {"I1 lost", "I2 invented"}
