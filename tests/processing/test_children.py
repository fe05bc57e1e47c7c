"""Members of archives and mails as uploads of their own."""

import io
import uuid
import zipfile
from typing import Any

import pytest

from processing import children, queue, runner
from processing.definitions import import_source
from processing.models import Origin, Run, RunState
from processing.queue import ledger
from processing.runs import start_run
from uploads.deletion import delete_upload
from uploads.intake import Offer, receive_upload
from uploads.models import Blob, Door, Quota, Upload
from uploads.names import name_of
from uploads.reading import open_content
from uploads.storage import store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

MAIL = b"""\
From: a@example.org
To: b@example.org
Subject: files
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Here they are.
--b
Content-Type: text/csv
Content-Disposition: attachment; filename="table.csv"

a,b
1,2
--b--
"""


def packed(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def hand_in(owner: Any, content: bytes, name: str = "parent.zip", **said: Any) -> Upload:
    offer = Offer(owner=owner, name=name, declared_type="", door=Door.API, **said)
    return receive_upload(offer, io.BytesIO(content))


def work() -> None:
    for claims in ledger.bundles("worker", size=8):
        runner.execute(*claims)


def output_of(upload: Upload) -> Any:
    from processing.traces import trace_of

    upload.refresh_from_db()
    assert upload.run_id is not None
    run = Run.objects.select_related("upload", "version").get(pk=upload.run_id)
    assert run.state == RunState.SUCCEEDED, run.error_code
    return next(v.output for v in trace_of(run) if v.record.step == "members")


def limit(settings: Any, **limits: int) -> None:
    family = {**settings.PROCESSING["FAMILY"], **limits}
    settings.PROCESSING = {**settings.PROCESSING, "FAMILY": family}


ZIP = packed(a_txt=b"first\n", folder__b_csv=b"x,y\n1,2\n", empty_txt=b"")


def test_members_become_uploads_with_names_types_and_runs_of_their_own(owner):
    parent = hand_in(owner, ZIP, tags=("draft",), folder="in")
    work()
    found = {name_of(child): child for child in parent.children.order_by("id")}
    assert set(found) == {"a.txt", "b.csv"}
    with open_content(found["a.txt"]) as content:
        assert content.read_at(0, 100) == b"first\n"
    child = found["b.csv"]
    assert (child.owner, child.door, child.media_type) == (owner, Door.MEMBER, "text/csv")
    assert (child.root_id, child.depth, child.tag_list) == (parent.pk, 1, ["draft"])
    assert child.folder == "in"
    assert {c.state for c in parent.children.all()} == {"succeeded"}
    output = output_of(parent)
    assert (output["files"], output["left_out"]) == (2, {"empty_file": 1})
    assert {c["upload"] for c in output["children"]} == {str(c.pk) for c in found.values()}


def test_archives_in_archives_make_a_tree_as_deep_as_is_allowed(owner, settings):
    limit(settings, MAX_DEPTH=2)
    inner = packed(in_txt=b"deep\n", more_zip=packed(too_txt=b"too deep\n"))
    parent = hand_in(owner, packed(inner_zip=inner))
    work()
    levels = Upload.objects.order_by("depth", "id").values_list("depth", "root_id")
    assert list(levels) == [(0, None), (1, parent.pk), (2, parent.pk), (2, parent.pk)]
    deepest = next(u for u in Upload.objects.filter(depth=2) if name_of(u) == "more.zip")
    assert output_of(deepest)["left_out"] == {"family_too_deep": 1}


def test_attachments_of_a_mail_become_uploads(owner):
    parent = hand_in(owner, MAIL, name="mail.eml")
    work()
    assert "table.csv" in {name_of(child) for child in parent.children.all()}


def test_another_run_finds_the_children_that_are_there(owner):
    parent = hand_in(owner, ZIP)
    work()
    before = set(parent.children.values_list("pk", flat=True))
    start_run(upload=parent)
    work()
    assert set(parent.children.values_list("pk", flat=True)) == before
    assert (output_of(parent)["files"], output_of(parent)["known"]) == (0, 2)
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def test_an_attempt_that_was_interrupted_goes_on_without_a_second_child(owner, monkeypatch):
    parent = hand_in(owner, ZIP)
    original = children.Member.commit
    taken: list[str] = []

    def commit(self: Any, name: str) -> Any:
        if taken:
            raise OSError("the machine went away")
        taken.append(name)
        return original(self, name)

    with monkeypatch.context() as broken:
        broken.setattr(children.Member, "commit", commit)
        claim = queue.claim(Run.objects.get(upload=parent).pk, "worker")
        assert claim is not None
        runner.execute(claim)
    assert parent.children.count() == 1
    from django.utils import timezone

    Run.objects.filter(upload=parent).update(due_at=timezone.now())
    work()
    assert sorted(map(name_of, parent.children.all())) == ["a.txt", "b.csv"]
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def test_more_members_than_are_open_at_once_come_in_bit_by_bit(owner, monkeypatch):
    monkeypatch.setattr(children, "AT_ONCE", 2)
    parent = hand_in(owner, packed(**{f"m{n}_txt": b"%d\n" % n for n in range(5)}))
    work()
    assert sorted(map(name_of, parent.children.all())) == [f"m{n}.txt" for n in range(5)]


@pytest.mark.parametrize(
    ("limits", "quota", "left_out"),
    [
        ({"MAX_FILES": 1}, {}, {"family_too_large": 2}),
        ({"MAX_BYTES": 3}, {}, {"family_too_large": 2}),
        ({}, {"max_files": 2}, {"quota_exceeded": 2}),
    ],
)
def test_what_does_not_fit_is_left_out(owner, settings, limits, quota, left_out):
    limit(settings, **limits)
    if quota:
        Quota.objects.create(user=owner, **quota)
    parent = hand_in(owner, packed(a_txt=b"1\n", b_txt=b"22\n", c_txt=b"3\n"))
    work()
    output = output_of(parent)
    assert output["files"] + sum(output["left_out"].values()) == 3
    assert set(output["left_out"]) == set(left_out)
    assert parent.children.count() == output["files"] < 3
    assert set(store().ids()) == set(Blob.objects.values_list("pk", flat=True))


def test_what_the_policy_denies_is_left_out(owner, settings):
    settings.UPLOADS = {**settings.UPLOADS, "DENIED_TYPES": ["text/csv"]}
    parent = hand_in(owner, ZIP)
    work()
    assert output_of(parent)["left_out"] == {"empty_file": 1, "media_type_denied": 1}
    assert [name_of(child) for child in parent.children.all()] == ["a.txt"]


def test_a_damaged_member_stays_out(owner):
    data = bytearray(packed(a_txt=b"first\n" * 50, b_txt=b"second\n"))
    data[60] ^= 0xFF
    parent = hand_in(owner, bytes(data))
    work()
    assert [name_of(child) for child in parent.children.all()] == ["b.txt"]


def test_a_bomb_gives_nothing(owner):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", b"fine\n")
        made.writestr("bomb.bin", bytes(64 * 1024 * 1024))
    parent = hand_in(owner, file.getvalue())
    import_source("name: only\nmedia_types: ['*/*']\nsteps: [members]\n", origin=Origin.ADMIN)
    run = start_run(upload=parent, pipeline="only")
    work()
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "quarantined")
    assert not parent.children.exists()


def test_a_parent_goes_with_its_children_and_a_child_alone(owner):
    parent = hand_in(owner, packed(a_txt=b"1\n", inner_zip=packed(b_txt=b"2\n")))
    work()
    assert Upload.objects.count() == 4
    child = next(c for c in parent.children.all() if name_of(c) == "a.txt")
    delete_upload(child)
    assert Upload.objects.filter(pk=parent.pk).exists()
    delete_upload(Upload.objects.get(pk=parent.pk))
    assert not Upload.objects.exists()
    assert not Blob.objects.exclude(upload=None).exists()
    assert Quota.objects.get(user=owner).used_files == 0


def test_lineage_goes_both_ways_over_http(client_of, owner, stranger):
    parent = hand_in(owner, ZIP)
    work()
    client = client_of(owner)
    told = client.get(f"/api/v1/uploads/{parent.pk}/").json()
    assert told["parent"] is None
    listed = client.get(told["children_url"]).json()["results"]
    assert {(c["parent"], c["depth"], c["door"]) for c in listed} == {(told["id"], 1, "member")}
    family = client.get("/api/v1/uploads/", {"family": told["id"]}).json()["results"]
    assert len(family) == 2
    assert client_of(stranger).get(told["children_url"]).json()["results"] == []
    nothing = client.get("/api/v1/uploads/", {"parent": str(uuid.uuid4())}).json()["results"]
    assert nothing == []


@pytest.mark.parametrize("name", ["evil", "member-", "member-x", "member-²"])
def test_a_step_that_names_members_in_an_unfit_way_is_refused(owner, name, monkeypatch):
    from processing.sandbox import Session

    parent = hand_in(owner, ZIP)
    original = Session.run

    def run(self: Any, step: str, **rest: Any) -> Any:
        if step == "members":
            rest["open_artifact"](name, "text/plain")
        return original(self, step, **rest)

    monkeypatch.setattr(Session, "run", run)
    work()
    parent.refresh_from_db()
    assert parent.state == "failed"
    assert not parent.children.exists()
