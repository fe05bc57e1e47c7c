"""Folders besides those of the users: whose they are, by which rules, and where they may lie."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError

from tests.uploads.watch.conftest import Scene
from uploads import checks
from uploads.folder_models import WatchedFolder
from uploads.models import IntakePolicy, Upload
from uploads.watch import places

pytestmark = pytest.mark.django_db


@pytest.fixture
def scans(tmp_path: Path, settings: Any, owner: Any, pipelines: None) -> WatchedFolder:
    """Return a folder of the owner's elsewhere."""
    root = tmp_path / "srv"
    root.mkdir()
    settings.UPLOADS = {
        **settings.UPLOADS,
        "DROP_ROOTS": [str(root)],
        "DROP_DIR": tmp_path / "drop",
    }
    row = WatchedFolder(
        path=str(root / "scans"), owner=owner, pipeline="any", label="scans", tags="paper, inbox"
    )
    row.clean()
    row.save()
    return row


def drop(row: WatchedFolder, name: str, content: bytes = b"one line\n") -> None:
    path = Path(row.path) / "unprocessed" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_its_files_become_uploads_of_its_owner_by_its_rules(
    scene: Scene, scans: WatchedFolder, stranger: Any
) -> None:
    WatchedFolder.objects.update(owner=stranger)
    drop(scans, "2026/a.txt")
    scene.watch()
    upload = Upload.objects.get()
    assert upload.owner == stranger
    assert upload.folder == "scans/2026"
    assert upload.tag_list == ["inbox", "paper"]
    assert upload.runs.get().version.pipeline.name == "any"
    Upload.objects.update(state="succeeded")
    scene.watcher.close_notes()
    assert [path.name for path in (Path(scans.path) / "processed").iterdir()] == ["a.txt.json"]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"max_bytes": 3}, "upload_too_large"),
        ({"allowed_types": "image/*"}, "media_type_denied"),
        ({"denied_types": "text/*"}, "media_type_denied"),
        ({}, None),
    ],
)
def test_its_policy_comes_before_that_of_its_owner(
    scene: Scene, scans: WatchedFolder, rules: dict[str, Any], code: str | None
) -> None:
    WatchedFolder.objects.update(**rules)
    IntakePolicy.objects.create(user=scene.owner, max_bytes=100)
    drop(scans, "a.txt")
    scene.drop("b.txt")
    scene.watch()
    assert Upload.objects.count() == (2 if code is None else 1), "the user's own folder has none"
    if code is not None:
        assert f'"code": "{code}"' in (Path(scans.path) / "failed" / "a.txt.json").read_text()


def test_a_label_that_becomes_too_long_is_refused_with_its_code(
    scene: Scene, scans: WatchedFolder
) -> None:
    WatchedFolder.objects.update(label="n" * 90)
    drop(scans, "inner folder/a.txt")
    scene.watch()
    receipt = (Path(scans.path) / "failed" / "a.txt.json").read_text()
    assert "label_malformed" in receipt


def test_what_changes_in_the_admin_counts_from_the_next_sweep(
    scene: Scene, scans: WatchedFolder, stranger: Any
) -> None:
    scene.watch()
    WatchedFolder.objects.update(owner=stranger, label="letters")
    drop(scans, "a.txt")
    scene.watch()
    upload = Upload.objects.get()
    assert (upload.owner, upload.folder) == (stranger, "letters")


def disable(row: WatchedFolder, settings: Any) -> None:
    WatchedFolder.objects.update(enabled=False)


def disable_owner(row: WatchedFolder, settings: Any) -> None:
    row.owner.is_active = False
    row.owner.save()


def take_its_root_away(row: WatchedFolder, settings: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "DROP_ROOTS": []}


def put_a_link_in_its_place(row: WatchedFolder, settings: Any) -> None:
    path = Path(row.path)
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


@pytest.mark.parametrize(
    "change", [disable, disable_owner, take_its_root_away, put_a_link_in_its_place]
)
def test_a_folder_that_may_not_be_watched_is_left_alone(
    scene: Scene, scans: WatchedFolder, settings: Any, change: Any
) -> None:
    drop(scans, "a.txt")
    change(scans, settings)
    scene.watch()
    assert not Upload.objects.exists()
    assert list(Path(scans.path).rglob("unprocessed/a.txt"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"path": "scans"}, "path"),
        ({"path": "/etc"}, "path"),
        ({"path": "{root}"}, "path"),
        ({"path": "{root}/../elsewhere"}, "path"),
        ({"path": "{root}/link/x"}, "path"),
        ({"path": "{root}/scans/inner"}, "path"),
        ({"path": "{drop}/olive"}, "path"),
        ({"label": "../x"}, "label"),
        ({"tags": "NOT A TAG"}, "label"),
        ({"pipeline": "no-such"}, "pipeline"),
        ({"allowed_types": "not a type"}, "allowed_types"),
    ],
)
def test_what_could_not_be_obeyed_is_not_saved_and_stops_the_start(
    scans: WatchedFolder, tmp_path: Path, settings: Any, fields: dict[str, str], field: str
) -> None:
    root = tmp_path / "srv"
    (root / "link").symlink_to("/tmp")
    settings.UPLOADS = {**settings.UPLOADS, "DROP_ROOTS": [str(root), str(tmp_path / "drop")]}
    known = {"path": str(root / "other"), "owner": scans.owner}
    filled = {
        name: value.format(root=root, drop=tmp_path / "drop") for name, value in fields.items()
    }
    row = WatchedFolder(**known | filled)
    with pytest.raises(ValidationError) as error:
        row.clean()
    assert set(error.value.message_dict) == {field}
    row.save()
    found = checks.check_watched_folders(databases=["default"])
    assert {message.id for message in found} == {"uploads.E008"}
    with pytest.raises(ImproperlyConfigured, match=r"\."):
        checks.refuse_unfit_policies()


def test_a_good_folder_stops_no_start(scans: WatchedFolder) -> None:
    assert checks.check_watched_folders(databases=["default"]) == []
    checks.refuse_unfit_policies()


@pytest.mark.parametrize(
    "setting",
    [
        {"DROP_POLLING": "sometimes"},
        {"DROP_POLL_S": 0},
        {"DROP_POLL_S": 10**6},
        {"DROP_RECEIPT_DAYS": -1},
        {"DROP_REFUSED_DAYS": -1},
        {"DROP_ROOTS": ["relative"]},
        {"DROP_ROOTS": ["/no/such/folder"]},
    ],
)
def test_settings_that_could_not_be_obeyed_stop_the_start(settings: Any, setting: Any) -> None:
    assert checks.check_drop_folders() == []
    settings.UPLOADS = {**settings.UPLOADS, **setting}
    assert [found.id for found in checks.check_drop_folders()] == ["uploads.E007"]


def test_the_admin_makes_one(scans: WatchedFolder, administrator: Any) -> None:
    from django.test import Client

    client = Client()
    client.force_login(administrator, backend="django.contrib.auth.backends.ModelBackend")
    path = str(Path(scans.path).with_name("letters"))
    fields = {"path": path, "owner": str(administrator.pk), "enabled": "on"}
    refused = client.post("/admin/uploads/watchedfolder/add/", fields | {"path": "/etc/x"})
    assert b"must lie below" in refused.content
    assert client.post("/admin/uploads/watchedfolder/add/", fields).status_code == 302
    assert WatchedFolder.objects.get(path=path).owner == administrator
    assert WatchedFolder.objects.count() == 2


def test_more_folders_cost_no_more_queries(
    scene: Scene, scans: WatchedFolder, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        WatchedFolder.objects.create(path=f"{scans.path} {number}", owner=scans.owner)
    with django_assert_num_queries(3):  # users, paths, folders
        found = list(places.places(scene.root))
    assert len(found) == 5
