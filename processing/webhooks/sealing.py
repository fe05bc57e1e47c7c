"""Addresses and secrets of endpoints, sealed under their owner's key."""

from collections.abc import Sequence
from uuid import UUID

from processing.webhooks.models import Endpoint
from uploads.encryption import seal, unseal
from uploads.keys import kept_owner_key, owner_key


class Seal:
    """Seals and opens what belongs to one endpoint; nothing opens as part of another."""

    def __init__(self, endpoint_id: UUID, key: bytes) -> None:
        self._endpoint_id = endpoint_id
        self._key = key

    @classmethod
    def new(cls, endpoint: Endpoint) -> "Seal":
        """Return one that may have to make the owner's key."""
        return cls(endpoint.pk, owner_key(endpoint.owner_id))

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Seal":
        """Return one for what is sealed already.

        Raises:
            UnknownKey: the owner's key is destroyed.
        """
        return cls(endpoint.pk, kept_owner_key(endpoint.owner_id))

    def close(self, text: str, what: str) -> bytes:
        """Return `text` sealed as `what`."""
        return seal(text.encode(), key=self._key, context=self._context(what))

    def open(self, sealed: "bytes | memoryview[int]", what: str) -> str:
        """Return what was sealed as `what`.

        Raises:
            Damaged
        """
        return unseal(bytes(sealed), key=self._key, context=self._context(what)).decode()

    def _context(self, what: str) -> bytes:
        return f"webhook {what}\0".encode() + self._endpoint_id.bytes


URL, SECRET = "url", "secret"


def url_of(endpoint: Endpoint) -> str:
    """Return the address of an endpoint.

    Raises:
        UnknownKey, Damaged
    """
    return urls_of([endpoint])[endpoint.pk]


def secret_of(endpoint: Endpoint) -> str:
    """Return the secret by which messages for an endpoint are signed.

    Raises:
        UnknownKey, Damaged
    """
    return Seal.of(endpoint).open(endpoint.sealed_secret, SECRET)


def urls_of(endpoints: Sequence[Endpoint]) -> dict[UUID, str]:
    """Return the addresses of endpoints of one owner, by their ids; one query.

    Raises:
        UnknownKey, Damaged
    """
    if not endpoints:
        return {}
    key = kept_owner_key(endpoints[0].owner_id)
    return {each.pk: Seal(each.pk, key).open(each.sealed_url, URL) for each in endpoints}
