"""Random access to bytes, the shape that storage, encryption, sandbox and edge share. Pure."""

from typing import Protocol


class RangeSource(Protocol):
    """Bytes that can be read at any offset."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end."""
        ...
