"""How master keys are protected where they lie.

A new kind is one class with these four methods, and one line in `UPLOADS["KEY_CUSTODIES"]`.
"""

from typing import Any, ClassVar, Protocol, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


class Custody(Protocol):
    """What protects the keys of one ring. Every method may raise `ImproperlyConfigured`."""

    kind: ClassVar[str]

    @classmethod
    def create(cls, **options: Any) -> Self:
        """Return a new one; `options` are those of `manage.py master_keys protect`."""
        ...

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """Return the one that `describe` described."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what stands in the ring beside the keys: nothing secret."""
        ...

    def protect(self, key_id: str, key: bytes) -> bytes:
        """Return `key` in a form that may lie about."""
        ...

    def reveal(self, key_id: str, protected: bytes) -> bytes:
        """Return the key that was protected under the same id."""
        ...


class InTheClear:
    """No protection but that of the file."""

    kind: ClassVar[str] = "none"

    @classmethod
    def create(cls, **_: Any) -> Self:
        return cls()

    @classmethod
    def from_description(cls, _: dict[str, Any]) -> Self:
        return cls()

    def describe(self) -> dict[str, Any]:
        return {}

    def protect(self, _: str, key: bytes) -> bytes:
        return key

    def reveal(self, _: str, protected: bytes) -> bytes:
        return protected


def kinds() -> list[str]:
    """Return the names of all custodies."""
    return [InTheClear.kind, *settings.UPLOADS["KEY_CUSTODIES"]]


def custody_of_kind(kind: str) -> type[Custody]:
    """Return the class of that name.

    Raises:
        ImproperlyConfigured: there is none, or what it needs is not installed.
    """
    if kind == InTheClear.kind:
        return InTheClear
    path = settings.UPLOADS["KEY_CUSTODIES"].get(kind)
    if path is None:
        raise ImproperlyConfigured("The key ring is protected in a way that is not known here.")
    try:
        found: type[Custody] = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"The key ring is protected by {kind}, for which a library is missing here. Install "
            "Strongroom with its extra: pip install 'strongroom[aws]'."
        ) from error
    return found
