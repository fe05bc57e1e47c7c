"""The key ring as a document.

{"active": "<id>", "keys": {"<id>": "<base64>"}}, and, where a custody protects the keys,
"custody": {"kind": "<name>", ...}.
"""

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Self

from django.core.exceptions import ImproperlyConfigured

from uploads.encryption import KeyRing, new_key
from uploads.master_keys.custody import Custody, InTheClear, custody_of_kind

FORM = (
    'The key ring must be JSON: {"active": "<id>", "keys": {"<id>": "<base64, 32 bytes>"}}. '
    "Restore it from your backup of the keys."
)


@dataclass(frozen=True)
class RingFile:
    """The document, its keys still protected."""

    active: str
    protected: dict[str, bytes] = field(repr=False)
    custody: Custody = field(default_factory=InTheClear)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the document.

        Raises:
            ImproperlyConfigured: it is not one.
        """
        try:
            data = json.loads(text)
            protected = {
                str(key_id): base64.b64decode(key, validate=True)
                for key_id, key in data["keys"].items()
            }
            description = dict(data.get("custody", {}))
            kind = custody_of_kind(str(description.pop("kind", InTheClear.kind)))
            return cls(str(data["active"]), protected, kind.from_description(description))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Without the cause: its message could quote a key.
            raise ImproperlyConfigured(FORM) from None

    def text(self) -> str:
        """Return the document."""
        keys = {
            key_id: base64.b64encode(key).decode() for key_id, key in sorted(self.protected.items())
        }
        document: dict[str, object] = {"active": self.active, "keys": keys}
        if self.custody.kind != InTheClear.kind:
            document["custody"] = {"kind": self.custody.kind, **self.custody.describe()}
        return json.dumps(document, indent=2) + "\n"

    def ring(self) -> KeyRing:
        """Return the keys, ready for use.

        Raises:
            ImproperlyConfigured: the custody does not give them, or they are no keys.
        """
        keys = self._revealed()
        try:
            return KeyRing(keys, self.active)
        except ValueError:
            raise ImproperlyConfigured(FORM) from None

    def with_new_key(self, key_id: str) -> Self:
        """Return the ring with one key more, not active yet.

        Raises:
            ValueError: the id is taken.
        """
        if key_id in self.protected:
            raise ValueError(f"The key ring has a master key {key_id} already.")
        protected = self.custody.protect(key_id, new_key())
        return replace(self, protected={**self.protected, key_id: protected})

    def with_active(self, key_id: str) -> Self:
        """Return the ring with another key active.

        Raises:
            ValueError: there is no such key.
        """
        self._refuse_unknown(key_id)
        return replace(self, active=key_id)

    def without(self, key_id: str) -> Self:
        """Return the ring without a key.

        Raises:
            ValueError: there is no such key, or it is the active one.
        """
        self._refuse_unknown(key_id)
        if key_id == self.active:
            raise ValueError(f"The master key {key_id} is the active one: activate another first.")
        rest = {other: key for other, key in self.protected.items() if other != key_id}
        return replace(self, protected=rest)

    def under(self, custody: Custody) -> Self:
        """Return the ring with the same keys, protected by `custody`."""
        protected = {
            key_id: custody.protect(key_id, key) for key_id, key in self._revealed().items()
        }
        return replace(self, protected=protected, custody=custody)

    def reveal(self, key_id: str) -> bytes:
        """Return a key in the clear, for whoever opens blobs without Strongroom.

        Raises:
            ValueError: there is no such key.
            ImproperlyConfigured: the custody does not give it.
        """
        self._refuse_unknown(key_id)
        return self.custody.reveal(key_id, self.protected[key_id])

    def _revealed(self) -> dict[str, bytes]:
        return {key_id: self.custody.reveal(key_id, key) for key_id, key in self.protected.items()}

    def _refuse_unknown(self, key_id: str) -> None:
        if key_id not in self.protected:
            raise ValueError(f"The key ring has no master key {key_id}.")
