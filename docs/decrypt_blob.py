"""Decrypt one blob, given its key bundle. The rules are those of encryption-format.md."""

import argparse
import json
import sys
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


def check(holds, rule):
    if not holds:
        sys.exit(f"refused: rule {rule} does not hold")


def unseal(key, sealed, associated_data, rule):
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], associated_data)
    except (InvalidTag, ValueError):
        check(False, rule)


def upload_key_of(bundle, owner, upload):
    wrapped = bytes.fromhex(bundle["owner_key"])
    head, sealed = wrapped[:-60], wrapped[-60:]
    check(len(head) > 1 and head[0] == len(head) - 1, "K1")
    master = bytes.fromhex(bundle["master_keys"].get(head[1:].decode("latin-1"), ""))
    check(len(master) == 32, "K2")
    owner_key = unseal(master, sealed, b"strongroom master 1\0" + head + b"owner" + owner, "K3")
    context = b"strongroom key 1\0upload" + owner + upload
    return unseal(owner_key, bytes.fromhex(bundle["upload_key"]), context, "K4")


def plaintext_of(file, size, bundle, blob_id):
    envelope, header = file.read(120), file.read(74)
    owner, upload = UUID(bundle["owner_id"]).bytes, UUID(bundle["upload_id"]).bytes
    check(size >= 194, "E1")
    check(envelope[:10] == b"STRONGROOM", "E2")
    check(envelope[10:12] == b"\0\1", "E3")
    check(envelope[12:60] == upload + owner + (blob_id.bytes if blob_id else envelope[44:60]), "E4")
    upload_key = upload_key_of(bundle, owner, upload)
    data_key = unseal(upload_key, envelope[60:], b"strongroom key 1\0" + envelope[:60], "E5")
    length = int.from_bytes(header[2:6], "big")
    check(header[:2] + header[6:10] == b"\0\0\0\0\0\x20" and 32 < length <= 2**24, "P1")

    def derive(key, purpose, size):
        return HKDFExpand(SHA384(), size, header[:42] + purpose + envelope).derive(key)

    def segment(number):
        file.seek(194 + number * length)
        content, is_last = file.read(length), number == last
        check(len(content) >= 32, "P3")
        check(content[:4] == (len(content).to_bytes(4, "big") if is_last else b"\xff" * 4), "P4")
        key = derive(message_key, b"DEK:" + (number >> 20 << 20).to_bytes(8, "big"), 32)
        return unseal(key, content[4:], number.to_bytes(8, "big") + bytes([is_last]), "P5")

    check(derive(data_key, b"HEADER_TAG:", 32) == header[42:], "P2")
    message_key, last = derive(data_key, b"MESSAGE_KEY:", 48), max(0, (size - 195) // length)
    segment(last)
    yield from map(segment, range(last + 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("blob", "bundle", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--blob-id", type=UUID, help="refuse another blob of the same upload")
    asked = parser.parse_args()
    part = asked.output.with_name(asked.output.name + ".part")
    try:
        with asked.blob.open("rb") as blob, part.open("wb") as output:
            key_bundle, size = json.loads(asked.bundle.read_text()), asked.blob.stat().st_size
            output.writelines(plaintext_of(blob, size, key_bundle, asked.blob_id))
        part.replace(asked.output)
    finally:
        part.unlink(missing_ok=True)
