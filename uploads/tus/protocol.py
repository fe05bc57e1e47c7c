"""The headers of tus 1.0.0, parsed. Pure. Source: https://tus.io/protocols/resumable-upload."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from uploads.errors import TooLarge
from uploads.labels import split_tags
from uploads.tus.errors import (
    ChecksumInvalid,
    LengthInvalid,
    MetadataInvalid,
    OffsetInvalid,
    ProtocolVersionUnsupported,
)

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "termination", "checksum", "expiration")
ALGORITHMS = ("sha1", "sha256")
CONTENT_TYPE = "application/offset+octet-stream"
NAMES = ("filename", "name")  # of the key that has the name of the file
UNNAMED = "unnamed"  # for clients that send no name: the protocol does not ask for one

_NUMBER = re.compile(r"[0-9]+")
_MOST_DIGITS = 19  # of a number that fits 63 bits
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # ASCII without space and comma


@dataclass(frozen=True)
class Metadata:
    """What a client says of its file. `pipeline` is None where it does not choose."""

    name: str
    declared_type: str
    pipeline: str | None
    folder: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checksum:
    """What the body of a request has to hash to."""

    algorithm: str
    digest: bytes

    def begin(self) -> "hashlib._Hash":
        """Return a fresh state of the algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(value: str | None) -> None:
    """Refuse another version of the protocol.

    Raises:
        ProtocolVersionUnsupported
    """
    if value != VERSION:
        raise ProtocolVersionUnsupported


def parse_length(value: str | None) -> int:
    """Return the bytes that `Upload-Length` declares.

    Raises:
        LengthInvalid: it is missing or no number.
        TooLarge: it is a number beyond every limit.
    """
    if value is None or not _NUMBER.fullmatch(value):
        raise LengthInvalid
    if len(value.lstrip("0")) > _MOST_DIGITS:
        raise TooLarge
    return int(value)


def parse_offset(value: str | None) -> int:
    """Return the bytes that `Upload-Offset` declares.

    Raises:
        OffsetInvalid
    """
    if value is None or not _NUMBER.fullmatch(value) or len(value) > _MOST_DIGITS:
        raise OffsetInvalid
    return int(value)


def parse_checksum(value: str | None) -> Checksum | None:
    """Return what `Upload-Checksum` declares, None without it.

    Raises:
        ChecksumInvalid
    """
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in ALGORITHMS:
        raise ChecksumInvalid
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ChecksumInvalid from None
    checksum = Checksum(algorithm, digest)
    if len(digest) != checksum.begin().digest_size:
        raise ChecksumInvalid
    return checksum


def parse_metadata(value: str) -> Metadata:
    """Return what `Upload-Metadata` says; clients differ in how they name the keys.

    Raises:
        MetadataInvalid
    """
    pairs = _pairs(value)
    try:
        # Names of file systems may have lone surrogates; nothing else may, nor a NUL.
        names = {
            key: pairs.pop(key).decode("utf-8", "surrogatepass") for key in NAMES if key in pairs
        }
        values = {key: raw.decode() for key, raw in pairs.items()}
    except UnicodeDecodeError:
        raise MetadataInvalid from None
    if any("\0" in said for said in values.values()):
        raise MetadataInvalid
    return Metadata(
        name=_first(names, *NAMES, otherwise=UNNAMED),
        declared_type=_first(values, "filetype", "type", otherwise=""),
        pipeline=values.get("pipeline") or None,
        folder=values.get("folder", ""),
        tags=split_tags(values.get("tags", "")),
    )


def _pairs(value: str) -> dict[str, bytes]:
    pairs: dict[str, bytes] = {}
    for pair in value.split(",") if value.strip() else []:
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in pairs:
            raise MetadataInvalid
        try:
            pairs[key] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise MetadataInvalid from None
    return pairs


def _first(values: Mapping[str, str], *keys: str, otherwise: str) -> str:
    return next((values[key] for key in keys if key in values), otherwise)
