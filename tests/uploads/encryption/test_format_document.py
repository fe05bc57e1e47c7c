"""The document and its stand-alone script, held to the code and to the frozen vectors."""

import json
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.uploads.encryption.cast import BLOB, SEGMENT, plaintext_of
from tests.uploads.encryption.test_frozen_vectors import BLOBS, CHECKPOINTS, KEYS, VALUES, each
from uploads.encryption import (
    SEGMENT_BYTES,
    KeyRing,
    new_key,
    owner_context,
    upload_context,
    wrap_key,
)

DOCS = Path(__file__).parents[3] / "docs"
SCRIPT = DOCS / "decrypt_blob.py"
DOCUMENT = (DOCS / "encryption-format.md").read_text(encoding="utf-8")
RULES = re.findall(r"^- \*\*([A-Z]\d)\*\* ", DOCUMENT, flags=re.MULTILINE)


def rules_of_vectors() -> set[str]:
    files = (BLOBS["vectors"], KEYS["by_master_key"], KEYS["by_key"], VALUES["vectors"])
    return {vector["rule"] for file in (*files, CHECKPOINTS["vectors"]) for vector in file}


def rules_of_tests() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")]
    named = re.findall(r"# rules? ((?:[A-Z]\d(?:, )?)+)$", "\n".join(sources), flags=re.MULTILINE)
    return {rule for names in named for rule in names.split(", ")}


def test_every_rule_of_the_document_has_a_vector_or_a_test_that_names_it():
    assert len(RULES) == len(set(RULES))
    assert set(RULES) == rules_of_vectors() | rules_of_tests()


def test_the_vectors_open_and_refuse_under_every_rule_of_a_reader():
    assert {rule for rule in RULES if rule[0] in "KEPV"} - rules_of_vectors() == {"P7"}


def test_the_document_names_the_segment_length_that_is_used():
    assert f"The segment length is {SEGMENT_BYTES:,} bytes" in DOCUMENT


def test_the_bundle_in_the_document_has_the_fields_of_a_bundle():
    (example,) = re.findall(r"```json\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    assert json.loads(example).keys() == BLOBS["bundle"].keys()


def test_the_script_is_short_and_needs_cryptography_alone():
    source = SCRIPT.read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, flags=re.MULTILINE))
    assert len(source.splitlines()) <= 80
    assert imported - sys.stdlib_module_names == {"cryptography"}


@pytest.fixture
def decrypt(tmp_path, monkeypatch):
    """Run the script; return the plaintext, or the message with which it refused."""

    def run(blob: bytes, bundle: dict[str, object], *options: str) -> bytes | str:
        paths = [tmp_path / name for name in ("blob", "bundle.json", "plaintext")]
        paths[0].write_bytes(blob)
        paths[1].write_text(json.dumps(bundle), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, paths), *options])
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as refusal:
            assert sorted(tmp_path.iterdir()) == sorted(paths[:2])
            return str(refusal.code)
        return paths[2].read_bytes()

    return run


def bundle_of(unwrapped: bytes, **changes: object) -> dict[str, object]:
    ring, owner_key = KeyRing({"a": (master := new_key())}, active="a"), new_key()
    place = upload_context(owner_id=BLOB.owner_id, upload_id=BLOB.upload_id)
    return {
        "format": "strongroom key bundle 1",
        "master_keys": {"a": master.hex()},
        "owner_id": str(BLOB.owner_id),
        "owner_key": ring.wrap(owner_key, context=owner_context(BLOB.owner_id)).hex(),
        "upload_id": str(BLOB.upload_id),
        "upload_key": wrap_key(unwrapped, under=owner_key, context=place).hex(),
    } | changes


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 500])
def test_the_script_decrypts_what_the_writer_wrote(decrypt, size):
    blob = BLOB.write(plaintext_of(size))
    bundle = bundle_of(BLOB.upload_key)
    assert decrypt(blob, bundle, "--blob-id", str(BLOB.blob_id)) == plaintext_of(size)


def test_the_script_decrypts_many_segments_of_the_usual_length(decrypt):
    plaintext = plaintext_of(3 * SEGMENT_BYTES)
    blob = replace(BLOB, segment_bytes=SEGMENT_BYTES).write(plaintext)
    assert decrypt(blob, bundle_of(BLOB.upload_key)) == plaintext


def test_the_script_runs_by_itself(tmp_path):
    (tmp_path / "blob").write_bytes(BLOB.write(b"content"))
    bundle = json.dumps(bundle_of(BLOB.upload_key))
    (tmp_path / "bundle").write_text(bundle, encoding="utf-8")
    command = [sys.executable, "-I", str(SCRIPT), "blob", "bundle", "plaintext"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "plaintext").read_bytes() == b"content"


@each(BLOBS["vectors"])
def test_the_script_gives_what_a_frozen_blob_must_give(decrypt, vector):
    got = decrypt(bytes.fromhex(vector["blob"]), BLOBS["bundle"], "--blob-id", BLOBS["blob_id"])
    if "plaintext" in vector:
        assert got == bytes.fromhex(vector["plaintext"])
    elif vector["rule"] == "P6":  # the last segment shows its own rule
        assert re.fullmatch("refused: rule P[345] does not hold", str(got))
    else:
        assert got == f"refused: rule {vector['rule']} does not hold"


def test_the_script_knows_a_blob_of_the_same_upload_by_its_id_alone(decrypt):
    bundle, other = bundle_of(BLOB.upload_key), "00000000-0000-0000-0000-000000000034"
    refusal = decrypt(BLOB.write(b"content"), bundle, "--blob-id", other)
    assert refusal == "refused: rule E4 does not hold"
    assert decrypt(BLOB.write(b"content"), bundle) == b"content"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"owner_key": ""}, "K1"),
        ({"owner_key": "02" + "61" + 60 * "00"}, "K1"),
        ({"master_keys": {}}, "K2"),
        ({"master_keys": {"b": 32 * "00"}}, "K2"),
        ({"master_keys": {"a": 32 * "00"}}, "K3"),
        ({"upload_key": 60 * "00"}, "K4"),
        ({"upload_key": ""}, "K4"),
        ({"owner_id": "00000000-0000-0000-0000-000000000023"}, "E4"),
        ({"upload_id": "00000000-0000-0000-0000-000000000012"}, "E4"),
    ],
)
def test_the_script_refuses_a_bundle(decrypt, changes, rule):
    bundle = bundle_of(BLOB.upload_key, **changes)
    assert decrypt(BLOB.write(b"content"), bundle) == f"refused: rule {rule} does not hold"


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_the_script_leaves_no_file_behind_when_a_segment_is_damaged(decrypt, damaged):
    blob = bytearray(BLOB.write(plaintext_of(80)))
    blob[194 + damaged * SEGMENT + 20] ^= 1
    got = decrypt(bytes(blob), bundle_of(BLOB.upload_key))
    assert got == "refused: rule P5 does not hold"
