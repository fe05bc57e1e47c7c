"""What must hold after any storm, asked of the database and the storage when all is quiet."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import UUID


def violations(acks: Mapping[UUID, str]) -> list[str]:
    """Return what is wrong; `acks` are all acknowledged uploads with their SHA-256."""
    return [*lost(acks), *invented(acks), *doubled(), *holes(), *unended()]


def lost(acks: Mapping[UUID, str]) -> Iterator[str]:
    """Whatever was acknowledged is there, and has the right bytes."""
    from config.errors import AppError
    from uploads.models import Upload
    from uploads.reading import open_content

    uploads = Upload.objects.in_bulk(list(acks))
    for upload_id, digest in acks.items():
        if upload_id not in uploads:
            yield f"I1 lost: {upload_id}"
            continue
        try:
            with open_content(uploads[upload_id]) as content:
                found = hashlib.sha256(b"".join(content.chunks())).hexdigest()
        except AppError as error:
            yield f"I1 unreadable: {upload_id} {error.code}"
            continue
        if found != digest:
            yield f"I1 other bytes: {upload_id}"


def invented(acks: Mapping[UUID, str]) -> Iterator[str]:
    """There are no other uploads, and each has one run."""
    from processing.models import Run
    from uploads.models import Upload

    for upload_id in set(Upload.objects.values_list("pk", flat=True)) - set(acks):
        yield f"I2 invented: {upload_id}"
    runs = Counter(Run.objects.values_list("upload_id", flat=True))
    for upload_id in acks:
        if runs[upload_id] != 1:
            yield f"I2 {runs[upload_id]} runs over {upload_id}"


def doubled() -> Iterator[str]:
    """In a run that succeeded each step has one effect, with the artifacts of that one."""
    from processing.definitions import definition_of
    from processing.models import Artifact, Run, RunState, StepRecord, StepState

    effects: Counter[tuple[UUID, str]] = Counter(
        StepRecord.objects.filter(state=StepState.SUCCEEDED).values_list("run_id", "step")
    )
    for run in Run.objects.filter(state=RunState.SUCCEEDED).select_related("version"):
        for use in definition_of(run.version).steps:
            if effects[run.pk, use.name] != 1:
                yield f"I3 {effects[run.pk, use.name]} effects of {use.name} in {run.pk}"
    names = Counter(Artifact.objects.values_list("record__run_id", "name"))
    for (run_id, name), count in names.items():
        if count != 1:
            yield f"I3 {count} artifacts {name} of {run_id}"
    strays = Artifact.objects.exclude(record__state=StepState.SUCCEEDED).count()
    if strays:
        yield f"I3 {strays} artifacts of steps without effect"


def holes() -> Iterator[str]:
    """After a sweep without grace, blobs and rows are the same, and open; quotas add up."""
    from django.db.models import Count, Sum

    from config.errors import AppError
    from uploads.deletion import sweep
    from uploads.models import Blob, Quota, Upload
    from uploads.reading import open_blob
    from uploads.storage import store

    sweep(grace_s=0)
    stored, rows = set(store().ids()), set(Blob.objects.values_list("pk", flat=True))
    yield from (f"I4 orphan: {blob_id}" for blob_id in stored - rows)
    yield from (f"I4 hole: {blob_id}" for blob_id in rows - stored)
    if left := store().sweep_partials(older_than_s=0):
        yield f"I4 {left} interrupted writes after a sweep"
    for blob in Blob.objects.filter(is_content=False).select_related("upload"):
        try:
            with open_blob(blob) as content:
                size = sum(map(len, content.chunks()))
        except AppError as error:
            yield f"I4 unreadable artifact: {blob.pk} {error.code}"
            continue
        if size != blob.size:
            yield f"I4 artifact of another size: {blob.pk}"
    for quota in Quota.objects.all():
        uploads = Upload.objects.filter(owner_id=quota.user_id)
        held = uploads.aggregate(bytes=Sum("size"), files=Count("pk"))
        if (quota.used_bytes, quota.used_files) != (held["bytes"] or 0, held["files"]):
            yield f"I4 quota of {quota.user_id} does not add up"


def unended() -> Iterator[str]:
    """Every run has ended, and so have its records; the upload says the same as its run."""
    from processing.models import Run, RunState, StepRecord, StepState
    from uploads.models import Upload

    open_runs = Run.objects.filter(state__in=(RunState.QUEUED, RunState.RUNNING))
    yield from (f"I6 not ended: {run.pk}" for run in open_runs)
    open_records = StepRecord.objects.filter(state=StepState.RUNNING)
    yield from (f"I6 record not ended: {record.pk}" for record in open_records)
    states = dict(Run.objects.values_list("pk", "state"))
    for upload in Upload.objects.only("run_id", "state"):
        if upload.run_id and states.get(upload.run_id) != upload.state:
            yield f"I6 upload {upload.pk} says {upload.state}"
