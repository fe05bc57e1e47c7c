"""Many files once more on another version."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from processing import definitions, queue, replays, runner
from processing.errors import NothingToReplay, ReplayGoesOn, TooMuchToReplay
from processing.models import Origin, PipelineVersion, Replay, Run, RunState
from processing.queue import ledger
from processing.replays import Selection
from processing.runs import start_run
from uploads.errors import UnknownPipeline
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

FIRST = """
name: mine
media_types: [text/plain]
steps:
  - checksum
  - {step: lines, settings: {routes: {start: {through: [trim]}}}}
"""
SECOND = f"{FIRST}  - {{step: media_type, when: size > 5}}\n"
API = "/api/v1/replays/"


@pytest.fixture
def mine() -> PipelineVersion:
    return definitions.import_source(FIRST, origin=Origin.ADMIN)


@pytest.fixture
def candidate(mine: PipelineVersion) -> PipelineVersion:
    return definitions.import_source(SECOND, origin=Origin.ADMIN)


def hand_in(owner: Any, content: bytes, **said: Any) -> Upload:
    offer = Offer(
        owner=owner, name="a.txt", declared_type="", door=Door.API, pipeline="mine", **said
    )
    return receive_upload(offer, io.BytesIO(content))


def work() -> None:
    for claims in ledger.bundles("worker", size=8):
        runner.execute(*claims)


def replayed(owner: Any, version: PipelineVersion, **chosen: Any) -> Replay:
    replay = replays.start_replay(owner=owner, version=version, selection=Selection(**chosen))
    work()
    replays.compare(replay)
    return replay


def test_what_is_different_is_told_for_each_file(owner, candidate):
    same, other = hand_in(owner, b"abc\n"), hand_in(owner, b"abcdef\n")
    work()
    replay = replayed(owner, candidate)
    progress = replays.progress_of(replay)
    assert (progress.by_state, progress.is_over) == ({"succeeded": 2}, True)
    assert progress.by_outcome == {"same": 1, "changed": 1}
    assert replay.items.get(upload=same).changes == []
    item = replay.items.get(upload=other)
    assert item.changes == ["media_type"]
    assert [(d.step, d.before, d.after) for d in replays.between(item.before, item.run)] == [
        ("media_type", None, "made")
    ]


def test_artifacts_are_compared_by_their_digests(owner, mine):
    upload = hand_in(owner, b"abc\n")
    work()
    shouting = definitions.import_source(FIRST.replace("trim", "upper"), origin=Origin.ADMIN)
    item = replayed(owner, shouting).items.get(upload=upload)
    assert "lines: lines.txt" in item.changes
    found = {(d.step, d.key): (d.before, d.after) for d in replays.between(item.before, item.run)}
    before, after = found["lines", "artifact lines.txt"]
    assert before != after


def test_a_file_that_fails_now_is_different(owner, candidate, monkeypatch):
    upload = hand_in(owner, b"abc\n")
    work()
    broken = SECOND.replace("- checksum", "- {step: checksum, timeout_s: 0.000001}")
    version = definitions.import_source(broken, origin=Origin.ADMIN)
    item = replayed(owner, version).items.get(upload=upload)
    found = replays.between(item.before, item.run)[0]
    assert (found.before, found.after) == ("succeeded", "failed (step_timed_out)")


def test_files_keep_showing_their_own_runs_until_the_replay_is_adopted(owner, candidate):
    uploads = [hand_in(owner, b"abc\n") for _ in range(3)]
    work()
    shown = [Upload.objects.get(pk=upload.pk).run_id for upload in uploads]
    replay = replayed(owner, candidate)
    assert [Upload.objects.get(pk=upload.pk).run_id for upload in uploads] == shown
    later = start_run(upload=uploads[0])
    work()
    assert replays.adopt(replay) == 2
    now = [Upload.objects.get(pk=upload.pk).run_id for upload in uploads]
    assert now[0] == later.pk
    assert now[1:] == [replay.items.get(upload=upload).run_id for upload in uploads[1:]]
    replay.refresh_from_db()
    assert replay.adopted_at is not None


def test_a_replay_that_goes_on_is_not_adopted_and_can_be_cancelled(owner, candidate):
    hand_in(owner, b"abc\n")
    work()
    replay = replays.start_replay(owner=owner, version=candidate, selection=Selection())
    with pytest.raises(ReplayGoesOn):
        replays.adopt(replay)
    assert replays.cancel_replay(replay) == 1
    assert replays.cancel_replay(replay) == 0
    assert replays.adopt(replay) == 0


def test_fresh_files_go_first(owner, candidate):
    for _ in range(3):
        hand_in(owner, b"abc\n")
    work()
    replays.start_replay(owner=owner, version=candidate, selection=Selection())
    fresh = hand_in(owner, b"fresh\n")
    claim = queue.claim(None, "worker")
    assert claim is not None
    fresh.refresh_from_db()
    assert claim.run_id == fresh.run_id


def test_files_are_chosen_by_what_they_are(owner, candidate):
    draft = hand_in(owner, b"abc\n", tags=("draft",))
    filed = hand_in(owner, b"abc\n", folder="in")
    other = receive_upload(
        Offer(owner=owner, name="b", declared_type="", door=Door.API, pipeline="any"),
        io.BytesIO(b"abc\n"),
    )

    def chosen(**by: Any) -> set[Any]:
        return set(Selection(**by).of(owner))

    assert chosen() == {draft, filed, other}
    assert chosen(tag="draft") == {draft}
    assert chosen(folder="in") == {filed}
    assert chosen(pipeline="any") == {other}
    assert chosen(uploads=(other.pk, draft.pk), pipeline="mine") == {draft}
    assert chosen(media_type="image/png") == set()
    assert chosen(state="queued") == {draft, filed, other}


def test_nothing_too_much_and_what_is_not_for_the_owner_are_refused(
    owner, stranger, candidate, monkeypatch
):
    hand_in(stranger, b"abc\n")
    with pytest.raises(NothingToReplay):
        replays.start_replay(owner=owner, version=candidate, selection=Selection())
    hand_in(owner, b"abc\n")
    hand_in(owner, b"abc\n")
    monkeypatch.setattr(replays, "MAX_FILES", 1)
    with pytest.raises(TooMuchToReplay):
        replays.start_replay(owner=owner, version=candidate, selection=Selection())
    theirs = definitions.import_source(FIRST + "owners: [sam]\n", origin=Origin.ADMIN)
    with pytest.raises(UnknownPipeline):
        replays.start_replay(owner=owner, version=theirs, selection=Selection())
    assert not Replay.objects.exists()


def test_any_run_is_compared_with_the_one_before(client_of, owner, mine):
    upload = hand_in(owner, b"abc\n")
    work()
    first = Upload.objects.get(pk=upload.pk).run_id
    again = start_run(upload=upload, pipeline="any")
    work()
    client = client_of(owner)
    compared = client.get(f"/api/v1/runs/{again.pk}/differences/").json()
    assert compared["before"]["id"] == str(first)
    assert {d["step"] for d in compared["differences"]} == {"lines", "media_type"}
    alone = client.get(f"/api/v1/runs/{first}/differences/").json()
    assert alone["before"] is None
    assert {d["after"] for d in alone["differences"]} == {"succeeded", "made"}


def test_nothing_of_a_held_file_is_shown(client_of, owner, mine):
    upload = hand_in(owner, b"very secret\n")
    work()
    Upload.objects.filter(pk=upload.pk).update(held=True)
    run = Run.objects.get(upload=upload)
    answer = client_of(owner).get(f"/api/v1/runs/{run.pk}/differences/")
    assert {d["key"] for d in answer.json()["differences"]} == {replays.WITHHELD}
    assert "secret" not in answer.content.decode()


def test_a_replay_over_http_from_its_start_to_the_new_version(
    client_of, owner, administrator, candidate
):
    hand_in(owner, b"abcdef\n")
    work()
    client = client_of(owner)
    answer = client.post(API, {"pipeline": "mine", "version": 2}, format="json")
    assert answer.status_code == 202, answer.content
    url = answer["Location"]
    assert answer.json()["progress"]["by_state"] == {"queued": 1}
    work()
    assert client.get(url).json()["progress"] == {
        "by_state": {"succeeded": 1},
        "by_outcome": {"changed": 1},
        "is_over": True,
    }
    listed = client.get(f"{url}files/", {"outcome": "changed"}).json()["results"]
    assert [(f["before"]["version"], f["run"]["version"]) for f in listed] == [(1, 2)]
    assert client.get(f"{url}files/", {"outcome": "same"}).json()["results"] == []
    compared = client.get(f"/api/v1/runs/{listed[0]['run']['id']}/differences/").json()
    assert compared["before"]["id"] == listed[0]["before"]["id"]
    assert compared["differences"] == [
        {"step": "media_type", "key": "step", "before": None, "after": "made"}
    ]
    assert client.post(f"{url}adopt/").json()["adopted_at"]
    activate = ("/api/v1/pipelines/mine/activate/", {"version": 2})
    assert client.post(*activate, format="json").status_code == 403
    assert len(client.get(API).json()["results"]) == 1
    owner.user_permissions.add(permission("change_pipeline"))
    assert client.post(*activate, format="json").json()["version"] == 2
    assert definitions.active_versions().get(pipeline__name="mine").number == 2


def permission(codename: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.get(codename=codename, content_type__app_label="processing")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"pipeline": "none", "version": 1}, "unknown_pipeline"),
        ({"pipeline": "theirs", "version": 1}, "unknown_pipeline"),
        ({"pipeline": "theirs", "version": 9}, "unknown_pipeline"),
        ({"pipeline": "mine", "version": 9}, "unknown_version"),
        ({"pipeline": "mine"}, "invalid_input"),
        ({"pipeline": "mine", "version": 1, "tag": "none"}, "nothing_to_replay"),
    ],
)
def test_a_replay_is_refused_over_http(client_of, owner, candidate, body, code):
    theirs = FIRST.replace("mine", "theirs") + "owners: [sam]\n"
    definitions.import_source(theirs, origin=Origin.ADMIN)
    answer = client_of(owner).post(API, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("get", "files/"),
        ("post", "adopt/"),
        ("post", "cancel/"),
    ],
)
def test_a_strangers_replay_does_not_exist(client_of, owner, stranger, candidate, method, path):
    hand_in(owner, b"abc\n")
    replay = replays.start_replay(owner=owner, version=candidate, selection=Selection())
    url = f"{API}{replay.pk}/{path}"
    answer = getattr(client_of(stranger), method)(url)
    assert answer.status_code == 404
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.QUEUED}


@pytest.mark.slow
def test_two_hundred_files_are_replayed_and_compared(
    owner, candidate, client_of, django_assert_max_num_queries
):
    for number in range(200):
        hand_in(owner, b"%d\n" % number if number % 4 else b"number %d\n" % number)
    work()
    replay = replays.start_replay(owner=owner, version=candidate, selection=Selection())
    work()
    with django_assert_max_num_queries(10):
        assert replays.compare(replay) == 200
    progress = replays.progress_of(replay)
    assert progress.by_outcome == {"same": 150, "changed": 50}
    with django_assert_max_num_queries(12):
        page = client_of(owner).get(f"{API}{replay.pk}/files/", {"outcome": "changed"}).json()
    assert len(page["results"]) == 50
    assert all(file["changes"] == ["media_type"] for file in page["results"])
    assert replays.adopt(replay) == 200


def test_the_command_makes_a_replay_for_each_owner_which_is_theirs_alone(
    owner, stranger, administrator, candidate, client_of, capsys
):
    for user, count in ((owner, 2), (stranger, 1)):
        for number in range(count):
            hand_in(user, b"abcdef %d\n" % number)
    work()
    call_command("replay", "mine", str(candidate.number))
    work()
    theirs = {replay.owner: replay for replay in Replay.objects.all()}
    assert {user: replay.size for user, replay in theirs.items()} == {owner: 2, stranger: 1}
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{user.username}: {theirs[user].size} files, replay {theirs[user].pk}"
        for user in sorted(theirs, key=lambda user: user.pk)
    ]
    for user, replay in theirs.items():
        assert set(replay.items.values_list("upload__owner", flat=True)) == {user.pk}
        found = {
            caller: client_of(caller).get(f"{API}{replay.pk}/").status_code
            for caller in (owner, stranger, administrator)
        }
        assert found == {caller: 200 if caller == user else 404 for caller in found}


def test_the_command_leaves_out_for_whom_the_version_is_not(owner, stranger, mine, capsys):
    hand_in(owner, b"abc\n")
    hand_in(stranger, b"abc\n")
    work()
    theirs = definitions.import_source(f"{SECOND}owners: [{owner.username}]\n", origin=Origin.ADMIN)
    call_command("replay", "mine", str(theirs.number))
    assert [replay.owner for replay in Replay.objects.all()] == [owner]
    call_command("replay", "mine", str(theirs.number), user=stranger.username)
    assert Replay.objects.count() == 1


def test_the_command_says_who_has_too_many_files_and_goes_on(
    owner, stranger, candidate, monkeypatch, capsys
):
    monkeypatch.setattr(replays, "MAX_FILES", 1)
    for user, count in ((owner, 2), (stranger, 1)):
        for number in range(count):
            hand_in(user, b"abcdef %d\n" % number)
    work()
    with pytest.raises(SystemExit, match="1"):
        call_command("replay", "mine", str(candidate.number))
    assert owner.username in capsys.readouterr().err
    assert [replay.owner for replay in Replay.objects.all()] == [stranger]


@pytest.mark.parametrize("said", [("nobody's", "1"), ("mine", "7")])
def test_the_command_replays_nothing_on_what_is_not_there(mine, said):
    with pytest.raises(CommandError):
        call_command("replay", *said)
