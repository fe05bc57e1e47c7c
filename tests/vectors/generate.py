"""Writes the vectors of our own format: `python -m tests.vectors.generate`.

The random source is replaced by a fixed one, so that the same bytes come out each time and a
test can hold today's writer to them. A file that is there and differs is not written over:
what was frozen stays; a new vector goes to the end of its list.
"""

import json
import random
import sys
from pathlib import Path
from typing import TypeAlias
from unittest import mock
from uuid import UUID

from tests.uploads.encryption.cast import Blob, plaintext_of
from uploads.encryption import (
    HEAD_BYTES,
    SEGMENT_BYTES,
    KeyRing,
    envelope,
    floe,
    new_key,
    owner_context,
    seal,
    upload_context,
    wrap_key,
)

JSON: TypeAlias = str | int | list["JSON"] | dict[str, "JSON"]
Vector: TypeAlias = dict[str, JSON]

FOLDER = Path(__file__).parent / "strongroom"
OWNER = UUID("0b7c4e5a-52a5-4d0e-9a39-0a0f4a2f9d01")
UPLOAD = UUID("5f0d3c52-3a1c-4f51-8a43-6c1d0e7b2a02")
BLOB = UUID("c6a1f0de-9b1d-4a7e-b6c4-3f8a5d2e1b03")
STRANGER = UUID("e2d4c6b8-1a3c-4e5f-8a7b-9c0d1e2f3a04")


def generate() -> dict[str, Vector]:
    """Return the content of each file by its name."""
    with mock.patch("os.urandom", random.Random("strongroom 1").randbytes):
        return {
            "blobs": _blobs(),
            "keys": _keys(),
            "values": _values(),
            "checkpoints": _checkpoints(),
        }


def _opens(name: str, rule: str, blob: bytes, plaintext: bytes) -> Vector:
    return {"name": name, "rule": rule, "blob": blob.hex(), "plaintext": plaintext.hex()}


def _damaged(name: str, rule: str, blob: bytes, part: str) -> Vector:
    return {"name": name, "rule": rule, "blob": blob.hex(), "damaged": part}


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _put(content: bytes, start: int, part: bytes) -> bytes:
    return content[:start] + part + content[start + len(part) :]


def _by_hand(blob: Blob, segments: list[bytes], *, version: int = 1) -> bytes:
    """Return an authentic blob that `BlobWriter` would not write."""
    data_key = new_key()
    ids = envelope.BlobIds(**blob.names())
    with mock.patch.object(envelope, "VERSION", version):
        head = envelope.make_envelope(data_key, upload_key=blob.upload_key, ids=ids)
    message = floe.Message(
        data_key,
        associated_data=head,
        iv=new_key(),
        segment_bytes=blob.segment_bytes,
        rotation=floe.ROTATION_MASK,
    )
    written = [head, message.header]
    for position, plaintext in enumerate(segments):
        segment = bytearray(floe.OVERHEAD + len(plaintext))
        last = position == len(segments) - 1
        message.seal_into(segment, plaintext, position=position, last=last)
        written.append(bytes(segment))
    return b"".join(written)


def _blobs() -> Vector:
    ring = KeyRing({"2025-a": new_key(), "2025-b": (master := new_key())}, active="2025-b")
    owner_key, upload_key = new_key(), new_key()
    place = upload_context(owner_id=OWNER, upload_id=UPLOAD)
    blob = Blob(upload_key, UPLOAD, OWNER, BLOB)
    return {
        "bundle": {
            "format": "strongroom key bundle 1",
            "master_keys": {"2025-b": master.hex()},
            "owner_id": str(OWNER),
            "owner_key": ring.wrap(owner_key, context=owner_context(OWNER)).hex(),
            "upload_id": str(UPLOAD),
            "upload_key": wrap_key(upload_key, under=owner_key, context=place).hex(),
        },
        "blob_id": str(BLOB),
        "unwrapped_upload_key": upload_key.hex(),
        "vectors": [*_whole(blob), *_envelopes(blob), *_headers(blob), *_segments(blob)],
    }


def _whole(blob: Blob) -> list[JSON]:
    long = Blob(blob.upload_key, UPLOAD, OWNER, BLOB, segment_bytes=floe.MAX_SEGMENT_BYTES)
    usual = Blob(blob.upload_key, UPLOAD, OWNER, BLOB, segment_bytes=SEGMENT_BYTES)
    tiny = Blob(blob.upload_key, UPLOAD, OWNER, BLOB, segment_bytes=33)
    text = b"Encrypted content of the usual segment length."
    two_full = [plaintext_of(64)[:32], plaintext_of(64)[32:]]
    return [
        *(
            _opens(f"{size} bytes", "P3", blob.write(plaintext_of(size)), plaintext_of(size))
            for size in (0, 1, 31, 32, 33, 64, 65, 100)
        ),
        _opens("usual segment length", "P1", usual.write(text), text),
        _opens("longest segment length", "P1", long.write(text), text),
        _opens("shortest segment length", "P1", tiny.write(text), text),
        _opens("empty last segment", "P3", _by_hand(blob, [*two_full, b""]), b"".join(two_full)),
    ]


def _envelopes(blob: Blob) -> list[JSON]:
    key, content = blob.upload_key, plaintext_of(40)
    whole = blob.write(content)
    strangers = {
        "upload": Blob(key, STRANGER, OWNER, BLOB).write(content),
        "owner": Blob(key, UPLOAD, STRANGER, BLOB).write(content),
        "blob": Blob(key, UPLOAD, OWNER, STRANGER).write(content),
    }
    newer = _by_hand(blob, [content[:32], content[32:]], version=2)
    return [
        *(
            _damaged(f"first {size} bytes", "E1", whole[:size], "length")
            for size in (0, 60, 120, 193)
        ),
        _damaged("other magic", "E2", _put(whole, 0, b"strongroom"), "envelope"),
        _damaged("another kind of file", "E2", b"%PDF-1.7\n" + bytes(300), "envelope"),
        _damaged("payload alone", "E2", whole[120:] + bytes(120), "envelope"),
        *(
            _damaged(f"version {number}", "E3", _put(whole, 10, bytes([0, number])), "envelope")
            for number in (0, 2, 255)
        ),
        _damaged("authentic version 2", "E3", newer, "envelope"),
        _damaged("version 2 said to be 1", "E5", _put(newer, 11, b"\1"), "wrapped_key"),
        *(
            _damaged(f"written for another {name}", "E4", stranger, "envelope")
            for name, stranger in strangers.items()
        ),
        *(
            _damaged(f"{name} id rewritten", "E5", whole[:60] + stranger[60:], "wrapped_key")
            for name, stranger in strangers.items()
        ),
        _damaged(
            "another upload key",
            "E5",
            Blob(new_key(), UPLOAD, OWNER, BLOB).write(content),
            "wrapped_key",
        ),
        *(
            _damaged(f"bit flipped at {place}", "E5", _flip(whole, place), "wrapped_key")
            for place in (60, 71, 72, 103, 104, 119)
        ),
        _damaged(
            "envelope of an earlier write", "P2", blob.write(b"")[:120] + whole[120:], "header"
        ),
    ]


def _headers(blob: Blob) -> list[JSON]:
    content = plaintext_of(40)
    whole, earlier = blob.write(content), blob.write(content)
    none = Blob(blob.upload_key, UPLOAD, OWNER, BLOB, segment_bytes=32)
    over = Blob(blob.upload_key, UPLOAD, OWNER, BLOB, segment_bytes=floe.MAX_SEGMENT_BYTES + 1)
    return [
        *(
            _damaged(f"parameter byte {place}", "P1", _flip(whole, 120 + place), "header")
            for place in (0, 1, 9)
        ),
        _damaged("segments without room", "P1", _by_hand(none, [b""]), "header"),
        _damaged("segments too long", "P1", _by_hand(over, [content]), "header"),
        _damaged("another segment length", "P2", _put(whole, 125, b"\x41"), "header"),
        *(
            _damaged(f"bit flipped at {place}", "P2", _flip(whole, place), "header")
            for place in (130, 161, 162, 193)
        ),
        _damaged("header of an earlier write", "P2", _put(whole, 120, earlier[120:194]), "header"),
    ]


def _segments(blob: Blob) -> list[JSON]:
    content = plaintext_of(105)
    whole, earlier = blob.write(content), blob.write(content)
    head, body, older = whole[:HEAD_BYTES], whole[HEAD_BYTES:], earlier[HEAD_BYTES:]
    one, two, three, last = (body[start : start + 64] for start in range(0, 256, 64))
    changed = [
        ("no segment", "P3", [], "length"),
        ("last segment too short", "P3", [one, two, three, last[:31]], "length"),
        ("length of the first changed", "P4", [_flip(one, 3), two, three, last], "segment"),
        ("length of the last changed", "P4", [one, two, three, _flip(last, 3)], "segment"),
        ("first marked as last", "P4", [b"\0\0\0\x40" + one[4:], two, three, last], "segment"),
        ("nonce", "P5", [_flip(one, 4), two, three, last], "segment"),
        ("ciphertext", "P5", [one, _flip(two, 16), three, last], "segment"),
        ("tag", "P5", [one, two, _flip(three, 63), last], "segment"),
        ("exchanged", "P5", [two, one, three, last], "segment"),
        ("repeated", "P5", [one, one, three, last], "segment"),
        ("dropped", "P5", [one, three, last], "segment"),
        ("of an earlier write", "P5", [one, older[64:128], three, last], "segment"),
        ("bit of the last", "P6", [one, two, three, _flip(last, 16)], "segment"),
        ("cut at the last edge", "P6", [one, two, three], "segment"),
        ("cut at the first edge", "P6", [one], "segment"),
        ("cut and marked", "P6", [one, b"\0\0\0\x40" + two[4:]], "segment"),
        ("cut within the last", "P6", [one, two, three, last[:-1]], "segment"),
        ("one byte appended", "P6", [one, two, three, last, b"\0"], "segment"),
        ("a segment appended", "P6", [one, two, three, last, one], "segment"),
    ]
    return [
        _damaged(name, rule, head + b"".join(segments), part)
        for name, rule, segments, part in changed
    ]


def _keys() -> Vector:
    old, new, key = new_key(), new_key(), new_key()
    ring = KeyRing({"old": old, "new": new}, active="new")
    owner, upload = owner_context(OWNER), upload_context(owner_id=OWNER, upload_id=UPLOAD)
    by_new, by_old = (
        ring.wrap(key, context=owner),
        KeyRing({"old": old}, active="old").wrap(key, context=owner),
    )
    by_key = wrap_key(key, under=old, context=upload)
    lost = KeyRing({"lost": new_key()}, active="lost").wrap(key, context=owner)
    stranger = owner_context(STRANGER)

    def vector(name: str, rule: str, wrapped: bytes, context: bytes, expected: str) -> Vector:
        expects = {"key": key.hex()} if expected == "key" else {"refused": expected}
        return {
            "name": name,
            "rule": rule,
            "wrapped": wrapped.hex(),
            "context": context.hex(),
            **expects,
        }

    return {
        "master_keys": {"old": old.hex(), "new": new.hex()},
        "under": old.hex(),
        "by_master_key": [
            vector("under the active key", "K3", by_new, owner, "key"),
            vector("under an earlier key", "K3", by_old, owner, "key"),
            vector("under a key that is gone", "K2", lost, owner, "key_unavailable"),
            vector("empty", "K1", b"", owner, "blob_damaged"),
            vector("cut", "K1", by_new[:-1], owner, "blob_damaged"),
            vector("longer", "K1", by_new + b"\0", owner, "blob_damaged"),
            vector("length of the id", "K1", _flip(by_new, 0), owner, "blob_damaged"),
            vector("id", "K3", by_new.replace(b"new", b"old"), owner, "blob_damaged"),
            vector("another owner", "K3", by_new, stranger, "blob_damaged"),
            *(
                vector(f"bit flipped at {place}", "K3", _flip(by_new, place), owner, "blob_damaged")
                for place in (4, 16, 48, 63)
            ),
        ],
        "by_key": [
            vector("whole", "K4", by_key, upload, "key"),
            vector("cut", "K4", by_key[:-1], upload, "blob_damaged"),
            vector("longer", "K4", by_key + b"\0", upload, "blob_damaged"),
            vector("another upload", "K4", by_key, owner, "blob_damaged"),
            vector(
                "a sealed value", "K4", seal(key, key=old, context=upload), upload, "blob_damaged"
            ),
            *(
                vector(
                    f"bit flipped at {place}", "K4", _flip(by_key, place), upload, "blob_damaged"
                )
                for place in (0, 12, 44, 59)
            ),
        ],
    }


def _values() -> Vector:
    key = new_key()
    sealed = seal(b"a value", key=key, context=b"context")
    wrapped = wrap_key(new_key(), under=key, context=b"context")

    def opens(value: bytes, context: bytes) -> Vector:
        return {
            "name": f"{len(value)} bytes",
            "rule": "V1",
            "sealed": seal(value, key=key, context=context).hex(),
            "context": context.hex(),
            "value": value.hex(),
        }

    def damaged(name: str, changed: bytes, context: bytes = b"context") -> Vector:
        return {
            "name": name,
            "rule": "V1",
            "sealed": changed.hex(),
            "context": context.hex(),
            "damaged": "sealed_value",
        }

    return {
        "key": key.hex(),
        "vectors": [
            opens(b"", b""),
            opens(b"a value", b"context"),
            opens(bytes(100), b"c"),
            damaged("empty", b""),
            damaged("too short", sealed[:27]),
            damaged("cut", sealed[:-1]),
            damaged("longer", sealed + b"\0"),
            damaged("another context", sealed, b"other"),
            damaged("a wrapped key", wrapped),
            *(damaged(f"bit flipped at {place}", _flip(sealed, place)) for place in (0, 12, 34)),
        ],
    }


def _checkpoints() -> Vector:
    blob = Blob(new_key(), UPLOAD, OWNER, BLOB)
    vectors: list[JSON] = []

    def written(size: int) -> tuple[bytes, bytes]:
        writer = blob.writer()
        return writer.update(plaintext_of(size)), writer.checkpoint()

    def damaged(name: str, head: bytes, checkpoint: bytes, part: str) -> None:
        vectors.append(
            {
                "name": name,
                "rule": "C1",
                "head": head.hex(),
                "checkpoint": checkpoint.hex(),
                "damaged": part,
            }
        )

    for size in (0, 1, 32, 33, 100):
        ciphertext, checkpoint = written(size)
        vectors.append(
            {
                "name": f"after {size} bytes",
                "rule": "C1",
                "head": ciphertext[:HEAD_BYTES].hex(),
                "checkpoint": checkpoint.hex(),
                "size": size,
                "ciphertext": ciphertext.hex(),
            }
        )
    head = ciphertext[:HEAD_BYTES]
    damaged("empty", head, b"", "sealed_value")
    damaged("segment number", head, _flip(checkpoint, 7), "sealed_value")
    damaged("cut", head, checkpoint[:-1], "sealed_value")
    damaged("of another write", head, written(100)[1], "sealed_value")
    damaged("head of another write", written(100)[0][:HEAD_BYTES], checkpoint, "sealed_value")
    damaged("head cut", head[:-1], checkpoint, "length")
    damaged("head changed", _flip(head, 193), checkpoint, "header")
    return {
        "upload_key": blob.upload_key.hex(),
        "upload_id": str(UPLOAD),
        "owner_id": str(OWNER),
        "blob_id": str(BLOB),
        "vectors": vectors,
    }


def main() -> int:
    """Write the files that are not there yet; return 1 if one that is there differs."""
    differing = 0
    for name, content in generate().items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(content, indent=1) + "\n"
        if not path.exists():
            path.write_text(text, encoding="ascii")
        elif path.read_text(encoding="ascii") != text:
            print(f"{path.name} is frozen and differs; left as it is.", file=sys.stderr)
            differing = 1
    return differing


if __name__ == "__main__":
    sys.exit(main())
