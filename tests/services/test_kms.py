"""Master keys under AWS KMS, against a server of its API (moto, on the loopback address)."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install strongroom[aws]")
moto_server = pytest.importorskip(
    "moto.server", reason="moto is not installed: pip install 'moto[server]'"
)

from config.durable import write_private  # noqa: E402
from uploads import checks  # noqa: E402
from uploads.encryption import new_key  # noqa: E402
from uploads.master_keys import RingFile, current, document  # noqa: E402

pytestmark = [pytest.mark.services, pytest.mark.django_db]

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def kms(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return boto3.client("kms", region_name=REGION, endpoint_url=endpoint)


@pytest.fixture
def kms_key(kms: Any) -> str:
    key: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return key


@pytest.fixture
def ring_path(settings: Any, tmp_path: Path, endpoint: str) -> Path:
    path = tmp_path / "ring" / "master-keys.json"
    path.parent.mkdir()
    write_private(path, RingFile("k1", {}).with_new_key("k1").text())
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_FILE": path, "KMS_ENDPOINT": endpoint}
    return path


@pytest.fixture
def protected(ring_path: Path, kms_key: str) -> Path:
    call_command("master_keys", "protect", "aws_kms", "--kms-key", kms_key, "--region", REGION)
    return ring_path


def test_keys_under_kms_are_the_same_keys_and_in_the_file_is_none(ring_path, kms, kms_key):
    wrapped = current().wrap(new_key(), context=b"x")
    clear = json.loads(ring_path.read_text())["keys"]["k1"]
    call_command("master_keys", "protect", "aws_kms", "--kms-key", kms_key, "--region", REGION)
    assert clear not in ring_path.read_text()
    assert document().custody.kind == "aws_kms"
    current().unwrap(wrapped, context=b"x")


def test_a_new_key_goes_to_kms_and_rotation_goes_on(protected, owner):
    call_command("master_keys", "add")
    call_command("master_keys", "activate", "k2")
    with pytest.raises(SystemExit) as ending:
        call_command("rotate_keys")
    assert ending.value.code == 0
    call_command("master_keys", "remove", "k1")
    assert current().ids == ("k2",)


def test_the_way_back_is_open(protected):
    call_command("master_keys", "protect", "none")
    assert [len(key) for key in document().protected.values()] == [32]


def test_exchanged_keys_do_not_open(protected):
    call_command("master_keys", "add")
    ring = json.loads(protected.read_text())
    ring["keys"] = {"k1": ring["keys"]["k2"], "k2": ring["keys"]["k1"]}
    write_private(protected, json.dumps(ring))
    with pytest.raises(ImproperlyConfigured, match="KMS refused to decrypt"):
        current()


def test_a_key_that_kms_does_not_have_stops_the_start_with_the_remedy(protected):
    ring = json.loads(protected.read_text())
    ring["custody"]["kms_key"] = "alias/none"
    write_private(protected, json.dumps(ring))
    (error,) = checks.check_key_ring()
    assert (error.id, "Grant this deployment kms:Decrypt" in error.msg) == ("uploads.E001", True)


def test_once_opened_the_keys_outlive_kms(protected, settings):
    ring = current()
    settings.UPLOADS = {**settings.UPLOADS, "KMS_ENDPOINT": "http://127.0.0.1:9"}
    assert current() is ring


def test_a_kms_that_is_away_stops_the_start_with_the_remedy(protected, settings, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    settings.UPLOADS = {**settings.UPLOADS, "KMS_ENDPOINT": "http://127.0.0.1:9"}
    (error,) = checks.check_key_ring()
    assert "can be reached" in error.msg


def test_a_key_that_does_not_exist_changes_nothing(ring_path, kms):
    before = ring_path.read_bytes()
    with pytest.raises(CommandError, match="KMS refused to encrypt"):
        call_command("master_keys", "protect", "aws_kms", "--kms-key=none", f"--region={REGION}")
    assert ring_path.read_bytes() == before
