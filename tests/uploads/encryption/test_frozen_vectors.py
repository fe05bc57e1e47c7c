import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.source import BytesSource
from tests.uploads.encryption.cast import plaintext_of
from tests.vectors import generate
from uploads.encryption import (
    BlobReader,
    BlobWriter,
    Damaged,
    KeyRing,
    UnknownKey,
    owner_context,
    unseal,
    unwrap_key,
    upload_context,
)

FOLDER = Path(__file__).parents[2] / "vectors" / "strongroom"


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


BLOBS, KEYS, VALUES, CHECKPOINTS = map(load, ("blobs", "keys", "values", "checkpoints"))


def each(vectors):
    return pytest.mark.parametrize(
        "vector", [pytest.param(vector, id=vector["name"]) for vector in vectors]
    )


def ids_of(file: dict[str, Any]) -> dict[str, UUID]:
    return {name: UUID(file[name]) for name in ("upload_id", "owner_id", "blob_id")}


@pytest.mark.parametrize("name", ["blobs", "keys", "values", "checkpoints"])
def test_what_is_written_today_is_byte_for_byte_what_was_frozen(name):
    assert generate.generate()[name] == load(name)


def test_the_generator_leaves_a_frozen_file_that_differs_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main() == 0
    (tmp_path / "blobs.json").write_text("{}", encoding="ascii")
    assert generate.main() == 1
    assert (tmp_path / "blobs.json").read_text(encoding="ascii") == "{}"
    assert "blobs.json is frozen" in capsys.readouterr().err


def test_the_bundle_opens_to_the_upload_key():
    bundle = BLOBS["bundle"]
    masters = {name: bytes.fromhex(key) for name, key in bundle["master_keys"].items()}
    owner_id, upload_id = UUID(bundle["owner_id"]), UUID(bundle["upload_id"])
    owner_key = KeyRing(masters, active=next(iter(masters))).unwrap(
        bytes.fromhex(bundle["owner_key"]), context=owner_context(owner_id)
    )
    upload_key = unwrap_key(
        bytes.fromhex(bundle["upload_key"]),
        under=owner_key,
        context=upload_context(owner_id=owner_id, upload_id=upload_id),
    )
    assert upload_key.hex() == BLOBS["unwrapped_upload_key"]


@each(BLOBS["vectors"])
def test_a_frozen_blob_gives_what_it_must(vector):
    def read() -> bytes:
        reader = BlobReader(
            BytesSource(bytes.fromhex(vector["blob"])),
            upload_key=bytes.fromhex(BLOBS["unwrapped_upload_key"]),
            **ids_of(BLOBS["bundle"] | {"blob_id": BLOBS["blob_id"]}),
        )
        return reader.read_at(0, reader.size)

    if "plaintext" in vector:
        assert read().hex() == vector["plaintext"]
    else:
        with pytest.raises(Damaged) as caught:
            read()
        assert caught.value.part == vector["damaged"]


@each([vector for vector in BLOBS["vectors"] if vector["rule"] == "P6"])
def test_a_frozen_blob_without_its_end_is_not_even_opened(vector):
    with pytest.raises(Damaged):
        BlobReader(
            BytesSource(bytes.fromhex(vector["blob"])),
            upload_key=bytes.fromhex(BLOBS["unwrapped_upload_key"]),
            **ids_of(BLOBS["bundle"] | {"blob_id": BLOBS["blob_id"]}),
        )


@each(KEYS["by_master_key"])
def test_a_frozen_key_under_a_master_key_gives_what_it_must(vector):
    masters = {name: bytes.fromhex(key) for name, key in KEYS["master_keys"].items()}
    ring = KeyRing(masters, active="new")
    assert_key(vector, ring.unwrap)


@each(KEYS["by_key"])
def test_a_frozen_key_under_a_key_gives_what_it_must(vector):
    under = bytes.fromhex(KEYS["under"])
    assert_key(vector, lambda wrapped, context: unwrap_key(wrapped, under=under, context=context))


def assert_key(vector, unwrap):
    wrapped, context = bytes.fromhex(vector["wrapped"]), bytes.fromhex(vector["context"])
    if "key" in vector:
        assert unwrap(wrapped, context=context).hex() == vector["key"]
    else:
        with pytest.raises((Damaged, UnknownKey)) as caught:
            unwrap(wrapped, context=context)
        assert caught.value.code == vector["refused"]


@each(VALUES["vectors"])
def test_a_frozen_value_gives_what_it_must(vector):
    def read() -> bytes:
        return unseal(
            bytes.fromhex(vector["sealed"]),
            key=bytes.fromhex(VALUES["key"]),
            context=bytes.fromhex(vector["context"]),
        )

    if "value" in vector:
        assert read().hex() == vector["value"]
    else:
        with pytest.raises(Damaged) as caught:
            read()
        assert caught.value.part == vector["damaged"]


@each(CHECKPOINTS["vectors"])
def test_a_frozen_checkpoint_gives_what_it_must(vector):
    upload_key, ids = bytes.fromhex(CHECKPOINTS["upload_key"]), ids_of(CHECKPOINTS)

    def resume() -> BlobWriter:
        head, checkpoint = (bytes.fromhex(vector[name]) for name in ("head", "checkpoint"))
        return BlobWriter.resume(head, checkpoint, upload_key=upload_key, **ids)

    if "damaged" in vector:
        with pytest.raises(Damaged) as caught:
            resume()
        assert caught.value.part == vector["damaged"]
        return
    writer = resume()
    stored = bytes.fromhex(vector["ciphertext"])
    assert (writer.size, writer.ciphertext_bytes) == (vector["size"], len(stored))
    blob = stored + writer.update(b"and more") + writer.finish()
    reader = BlobReader(BytesSource(blob), upload_key=upload_key, **ids)
    assert reader.read_at(0, reader.size) == plaintext_of(vector["size"]) + b"and more"
