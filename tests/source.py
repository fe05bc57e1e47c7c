"""Content in memory, as a source of ranges."""


class BytesSource:
    """A `config.ranges.RangeSource` over bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]
