"""The pages of pipelines and replays."""

import io
import re
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from dashboard.graph import picture_of
from processing import definitions, replays, runner
from processing.models import Origin, Pipeline, Replay, Run, RunState
from processing.pipelines import read_source
from processing.queue import ledger
from processing.replays import Selection
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import checked, hand_in, play
from uploads.deletion import delete_upload
from uploads.erasures import Cause
from uploads.key_models import Erasure
from uploads.models import Upload

pytestmark = pytest.mark.usefixtures("pipelines")

DIAMOND = """
name: mine
title: My diamond
media_types: [text/plain]
tags: [draft]
steps:
  - checksum
  - {step: lines, needs: [checksum]}
  - {step: media_type, needs: [checksum], when: "size < 5 MiB"}
  - {step: checksum, name: join, needs: [lines, media_type]}
"""


def added(text: str = DIAMOND, *, active: bool = True) -> Any:
    return definitions.import_source(text, origin=Origin.ADMIN, active=active)


def may_change(user: Any) -> None:
    user.user_permissions.add(
        Permission.objects.get(codename="change_pipeline", content_type__app_label="processing")
    )


def page(client: Any, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_steps_stand_below_all_they_need() -> None:
    picture = picture_of(read_source(DIAMOND))
    boxes = {box.name: box for box in picture.boxes}
    assert boxes["checksum"].y < boxes["lines"].y == boxes["media_type"].y < boxes["join"].y
    assert boxes["lines"].x < boxes["media_type"].x
    assert boxes["checksum"].middle == boxes["join"].middle == picture.width / 2
    assert len(picture.lines) == 4
    for box in picture.boxes:
        assert 0 <= box.x <= picture.width - picture.box_width
        assert 0 <= box.y <= picture.height - picture.box_height


def test_steps_of_one_title_keep_their_own_lines() -> None:
    twins = """
name: twins
title: Twins
media_types: [text/plain]
steps:
  - media_type
  - {step: checksum, name: of_copy}
  - {step: checksum, name: checksum_of_copy, needs: [media_type]}
  - {step: lines, needs: [of_copy]}
"""
    picture = picture_of(read_source(twins))
    boxes = {box.name: box for box in picture.boxes}
    assert boxes["of_copy"].title == boxes["checksum_of_copy"].title
    begin = f"M{boxes['of_copy'].middle:g} "
    assert [line.path.startswith(begin) for line in picture.lines].count(True) == 1


def test_the_picture_has_a_table_twin_and_no_style(visit: Visit, owner: Any) -> None:
    added()
    text = page(visit(owner), "pipeline", "mine")
    assert text.count('class="node') >= 4
    assert text.count('<path class="edge') == 4
    assert "style=" not in text
    table = text[text.index("Table of the steps") :]
    for part in ("Line routing, Type detection", "size &lt; 5 MiB", "Checksum (join)"):
        assert part in table


def test_a_run_shows_the_states_of_its_steps(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "a.txt", b"some text\n")
    run = play(upload, checked(upload), state=RunState.RUNNING)
    text = page(visit(owner), "run", run.pk)
    assert text.count('class="node succeeded') == 2
    assert "Not begun" in text


def test_the_totals_of_a_replay_hold_when_files_of_it_are_deleted(visit: Visit, owner: Any) -> None:
    uploads = [hand_in(owner, f"{number}.txt", b"some text\n") for number in range(3)]
    for upload in uploads:
        play(upload, checked(upload), state=RunState.SUCCEEDED)
    version = definitions.named("text", 1, owner=owner)
    replay = replays.start_replay(owner=owner, version=version, selection=Selection())
    assert "Deleted since" not in page(visit(owner), "replay", replay.pk)
    delete_upload(uploads[0], cause=Cause(Erasure.Via.OWNER, owner.pk))
    text = page(visit(owner), "replay", replay.pk)
    for name, number in (("Files chosen", 3), ("Deleted since", 1), ("Queued", 2)):
        assert f"<dt>{name}</dt><dd>{number}</dd>" in text
    for upload in uploads[1:]:
        delete_upload(upload, cause=Cause(Erasure.Via.OWNER, owner.pk))
    text = page(visit(owner), "replay", replay.pk)
    assert "All its files have been deleted." in text
    assert "Let the files show these results" not in text


def test_pipelines_of_others_are_not_there(visit: Visit, owner: Any, stranger: Any) -> None:
    added(DIAMOND + "owners: [olive]\n")
    assert "My diamond" in page(visit(owner), "pipelines")
    assert "My diamond" not in page(visit(stranger), "pipelines")
    assert visit(stranger).get(reverse("pipeline", args=["mine"])).status_code == 404


def test_a_version_of_other_owners_is_not_there(visit: Visit, owner: Any) -> None:
    added()
    added(DIAMOND + "owners: [sam]\n", active=False)
    client = visit(owner)
    assert client.get(reverse("pipeline", args=["mine"]), {"version": 2}).status_code == 404
    assert "version=2" not in page(client, "pipeline", "mine")


@pytest.mark.parametrize("version", ["0", "9", "x", "-1", "9" * 30, "²"])
def test_a_version_that_there_is_not_answers_404(visit: Visit, owner: Any, version: str) -> None:
    answer = visit(owner).get(reverse("pipeline", args=["any"]), {"version": version})
    assert answer.status_code == 404


def test_only_who_may_change_pipelines_sees_the_yaml_and_activates(
    visit: Visit, owner: Any
) -> None:
    added()
    added(DIAMOND.replace("My diamond", "Later"), active=False)
    client, path = visit(owner), reverse("pipeline-activate", args=["mine"])
    assert "steps:" not in page(client, "pipeline", "mine", version=2)
    assert client.post(path, {"version": 2}).status_code == 403
    may_change(owner)
    client = visit(owner)
    assert "steps:" in page(client, "pipeline", "mine", version=2)
    assert client.post(path, {"version": 2}).status_code == 302
    active = Pipeline.objects.get(name="mine").active
    assert active is not None
    assert active.number == 2


def test_a_replay_from_its_start_to_the_new_results(visit: Visit, owner: Any) -> None:
    added("name: mine\nmedia_types: [text/plain]\ntags: [draft]\nsteps: [checksum]\n")
    upload = hand_in(owner, "first file.txt", b"some text\n")
    run = play(upload, checked(upload), state=RunState.SUCCEEDED)
    added(DIAMOND, active=False)
    client = visit(owner)
    started = client.post(
        reverse("replay-start", args=["mine"]), {"version": "2", "shown_pipeline": "text"}
    )
    replay = Replay.objects.get()
    assert started["Location"] == reverse("replay", args=[replay.pk])
    assert "Cancel" in page(client, "replay", replay.pk)
    for claims in ledger.bundles("worker", size=8):
        runner.execute(*claims)
    text = page(client, "replay", replay.pk, outcome="changed")
    assert "first file.txt" in text
    assert "lines" in text
    assert "No file of it is like this." in page(client, "replay", replay.pk, outcome="same")
    new = replay.items.get().run
    values = page(client, "run-differences", new.pk)
    assert re.search(r"join.*made", values, re.DOTALL)
    assert Upload.objects.get().run_id == run.pk
    client.post(reverse("replay-adopt", args=[replay.pk]))
    assert Upload.objects.get().run_id == new.pk
    assert "My diamond" in page(client, "replays") or "version 2" in page(client, "replays")


def test_a_replay_that_cannot_start_says_why(visit: Visit, owner: Any) -> None:
    answer = visit(owner).post(
        reverse("replay-start", args=["any"]), {"version": "1", "tag": "none"}, follow=True
    )
    assert "No file of yours is chosen by this." in answer.content.decode()
    assert not Run.objects.exists()


def test_the_pages_cost_the_same_for_any_number_of_files(
    visit: Visit, owner: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        upload = hand_in(owner, f"{number}.txt", b"some text\n")
    client = visit(owner)
    client.post(reverse("replay-start", args=["any"]), {"version": "1"})
    assert upload is not None
    with django_assert_max_num_queries(12):
        page(client, "replay", Replay.objects.get().pk)
    with django_assert_max_num_queries(8):
        page(client, "pipelines")


def test_parents_and_children_lead_to_each_other(visit: Visit, owner: Any, stranger: Any) -> None:
    parent = hand_in(owner, "letters.zip", zipped("a.txt", "inner.zip"))
    for claims in ledger.bundles("worker", size=8):
        runner.execute(*claims)
    text = page(visit(owner), "upload", parent.pk)
    assert "Contents" in text
    for child in Upload.objects.filter(depth=1):
        assert reverse("upload", args=[child.pk]) in text
        assert f"/uploads/{parent.pk}/" in page(visit(owner), "upload", child.pk)
        assert visit(stranger).get(reverse("upload", args=[child.pk])).status_code == 404
    assert 'class="depth-1"' in text


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, zipped("deep.txt") if name.endswith(".zip") else b"content\n")
    return file.getvalue()
