"""Where master keys come from, and what is said when they do not."""

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError

from config.durable import write_private
from uploads import checks
from uploads.encryption import new_key
from uploads.master_keys import RingFile, change, current, document

ROOT = Path(__file__).resolve().parents[3]


def test_a_ring_in_a_file_opens(ring_path):
    assert (current().active, current().ids) == ("k1", ("k1",))


def test_a_ring_in_the_environment_goes_before_the_file(ring_path, settings):
    text = RingFile("env", {}).with_new_key("env").text()
    settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_JSON": text}
    assert current().active == "env"
    with pytest.raises(ImproperlyConfigured, match="only its keeper can change"):
        change(lambda ring: ring)


def test_a_changed_file_is_seen_at_once_by_every_process(ring_path):
    assert current().active == "k1"
    code = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "from pathlib import Path\n"
        f"settings.UPLOADS['MASTER_KEYS_FILE'] = Path({str(ring_path)!r})\n"
        "from uploads.master_keys import current\n"
        "print(current().active, flush=True)\n"
        "input()\n"
        "print(current().active, flush=True)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout
    assert other.stdin
    with other:
        assert other.stdout.readline() == "k1\n"
        change(lambda ring: ring.with_new_key("k2").with_active("k2"))
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "k2\n"
    assert current().active == "k2"


def test_changes_at_once_are_all_kept(ring_path):
    threads = [
        threading.Thread(target=change, args=(lambda ring, n=n: ring.with_new_key(f"n{n}"),))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(current().ids) == {"k1", *(f"n{n}" for n in range(12))}
    assert ring_path.stat().st_mode & 0o777 == 0o600


KEY = base64.b64encode(bytes(32)).decode()
BROKEN = [
    "", "{", "[]", "{}", '{"active": "k1"}', '{"active": "k1", "keys": []}',
    json.dumps({"active": "k1", "keys": {"k1": "!"}}),
    json.dumps({"active": "k1", "keys": {"k1": KEY[:-4]}}),
    json.dumps({"active": "k2", "keys": {"k1": KEY}}),
    json.dumps({"active": "k/1", "keys": {"k/1": KEY}}),
    json.dumps({"active": "k1", "keys": {"k1": KEY}, "custody": {"kind": "vault"}}),
    json.dumps({"active": "k1", "keys": {"k1": KEY}, "custody": {"kind": "passphrase"}}),
    json.dumps({"active": "k1", "keys": {"k1": KEY}, "custody": 7}),
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_ring_stops_the_start_and_is_not_quoted(ring_path, text):
    ring_path.write_text(text)
    (error,) = checks.check_key_ring()
    assert (error.id, bool(error.hint)) == ("uploads.E001", True)
    assert KEY[:20] not in f"{error.msg}{error.hint}"


def test_a_missing_ring_stops_the_start_with_the_remedy(ring_path):
    ring_path.unlink()
    (error,) = checks.check_key_ring()
    assert "Restore it from your backup" in error.msg
    assert not ring_path.exists()


def test_a_ring_that_others_can_read_stops_the_start(ring_path):
    ring_path.chmod(0o640)
    (error,) = checks.check_key_ring()
    assert error.id == "uploads.E002"


@pytest.mark.parametrize(
    ("mode", "found"),
    [(0o440, []), (0o400, []), (0o444, ["uploads.E002"]), (0o460, ["uploads.E002"])],
)
def test_a_mounted_ring_of_another_owner_may_be_read_through_its_group(
    ring_path, monkeypatch, mode, found
):
    current()
    ring_path.chmod(mode)
    monkeypatch.setattr("os.geteuid", lambda: 10001)
    assert [error.id for error in checks.check_key_ring()] == found


@pytest.mark.parametrize("module", ["config.wsgi", "config.asgi"])
def test_a_server_without_keys_does_not_begin(tmp_path, module):
    code = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"settings.UPLOADS['MASTER_KEYS_FILE'] = settings.DATA_DIR / 'none'\n"
        f"import {module}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert "Restore it from your backup of the keys" in done.stderr


@pytest.mark.parametrize("part", ["watch", "work"])
@pytest.mark.django_db
def test_a_part_without_keys_does_not_begin(ring_path, part):
    ring_path.unlink()
    with pytest.raises(SystemCheckError, match="Restore it from your backup of the keys"):
        call_command(part, skip_checks=False)


def test_a_ring_shows_no_key(ring_path):
    ring = json.loads(ring_path.read_text())
    shown = repr(document()) + repr(current()) + str(vars(current()))
    (key,) = ring["keys"].values()
    assert key not in shown
    assert repr(base64.b64decode(key))[2:-1] not in shown


class TestPassphrase:
    """Keys that a passphrase opens."""

    def test_keys_under_a_passphrase_are_the_same_keys(self, ring_path, passphrase):
        before = current().wrap(new_key(), context=b"x")
        clear = json.loads(ring_path.read_text())["keys"]["k1"]
        call_command("master_keys", "protect", "passphrase")
        assert clear not in ring_path.read_text()
        assert passphrase not in ring_path.read_text()
        assert document().custody.kind == "passphrase"
        current().unwrap(before, context=b"x")

    def test_a_new_key_is_protected_like_the_others(self, ring_path, passphrase):
        call_command("master_keys", "protect", "passphrase")
        call_command("master_keys", "add")
        assert {len(key) for key in document().protected.values()} == {12 + 32 + 16}
        assert current().ids == ("k1", "k2")

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ("", "needs a passphrase"),
            ("short", "at least 16 characters"),
            ("a wrong passphrase", "does not open"),
        ],
    )
    def test_another_passphrase_stops_the_start(
        self, ring_path, passphrase, settings, wrong, sentence
    ):
        call_command("master_keys", "protect", "passphrase")
        settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_PASSPHRASE": wrong}
        write_private(ring_path, ring_path.read_text() + " ")  # nothing that was opened counts
        (error,) = checks.check_key_ring()
        assert sentence in error.msg

    def test_exchanged_keys_do_not_open(self, ring_path, passphrase):
        call_command("master_keys", "add")
        call_command("master_keys", "protect", "passphrase")
        ring = json.loads(ring_path.read_text())
        ring["keys"] = {"k1": ring["keys"]["k2"], "k2": ring["keys"]["k1"]}
        write_private(ring_path, json.dumps(ring))
        with pytest.raises(ImproperlyConfigured, match="does not open"):
            current()

    @pytest.mark.parametrize("cost", [1, 2**21, "x", None])
    def test_a_cost_out_of_range_is_refused_before_it_costs(self, ring_path, passphrase, cost):
        call_command("master_keys", "protect", "passphrase")
        ring = json.loads(ring_path.read_text())
        ring["custody"]["cost"] = cost
        write_private(ring_path, json.dumps(ring))
        with pytest.raises(ImproperlyConfigured, match="must be JSON"):
            current()

    def test_the_real_cost_is_borne(self, ring_path, settings):
        settings.UPLOADS = {**settings.UPLOADS, "MASTER_KEYS_PASSPHRASE": "a passphrase of mine"}
        call_command("master_keys", "protect", "passphrase")
        assert json.loads(ring_path.read_text())["custody"]["cost"] == 2**17
        assert current().ids == ("k1",)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "--id", "k1"], "already"),
        (["add", "--id", "a b"], "must be JSON"),
        (["activate", "k9"], "has no master key k9"),
        (["remove", "k1"], "active one"),
        (["remove", "k9"], "has no master key k9"),
        (["protect", "passphrase"], "needs a passphrase"),
        (["protect", "aws_kms"], "Name the key of KMS"),
    ],
)
@pytest.mark.django_db
def test_a_wrong_change_changes_nothing(ring_path, arguments, sentence):
    before = ring_path.read_bytes()
    with pytest.raises(CommandError, match=sentence):
        call_command("master_keys", *arguments)
    assert ring_path.read_bytes() == before
