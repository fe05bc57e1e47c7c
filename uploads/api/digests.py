"""Digests that a client declares of what it sends. Source: RFC 9530; RFC 8941, section 3.2."""

import base64
import binascii
import re
from collections.abc import Callable

from uploads.errors import DigestMalformed, DigestMismatch

HEADERS = ("Repr-Digest", "Content-Digest")  # the same: nothing arrives coded or in part
SHA256 = "sha-256"
SHA256_BYTES = 32
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):")


def declared_sha256(header: Callable[[str], str | None]) -> bytes | None:
    """Return the SHA-256 that the headers declare, None where they declare no digest at all.

    A digest that cannot be compared is refused, not passed over: whoever sends one relies on it.

    Raises:
        DigestMalformed: a header is there, and holds no SHA-256.
        DigestMismatch: the two headers contradict each other.
    """
    values = [value for name in HEADERS if (value := header(name)) is not None]
    found = {_sha256_in(value) for value in values}
    if len(found) > 1:
        raise DigestMismatch
    return found.pop() if found else None


def _sha256_in(value: str) -> bytes:
    members = [_MEMBER.fullmatch(member.strip(" \t")) for member in value.split(",")]
    if None in members:
        raise DigestMalformed
    encoded = {member[1]: member[2] for member in members if member}  # of two, the last counts
    try:
        digest = base64.b64decode(encoded[SHA256], validate=True)
    except (KeyError, binascii.Error):
        raise DigestMalformed from None
    if len(digest) != SHA256_BYTES:
        raise DigestMalformed
    return digest
